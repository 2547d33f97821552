/**
 * Metered engine: runs contracts and verifiable jobs so that every machine gets the same bytes and
 * the same fuel.
 */
export * from './errors.ts';
export * from './wasm/fuel-schedule.ts';
export * from './wasm/inject.ts';
export * from './wasm/metered-instance.ts';
export * from './js/js-engine.ts';
export * from './js/js-machine.ts';
export * from './contract/contract-engine.ts';
export * from './contract/frame-operations.ts';
export * from './contract/host.ts';
export * from './contract/js-contract.ts';
export * from './contract/memory-host.ts';
export * from './contract/outcome.ts';
export * from './contract/vm-version.ts';
export * from './contract/wasm-contract.ts';
export * from './job/checkpoints.ts';
export * from './job/dispute.ts';
export * from './job/job-version.ts';
export * from './job/recorder.ts';
export * from './job/verifiable-job.ts';
