/** The provider's side of the agent protocol as a state machine, and the hello both sides check. */
export { type Agent, agentFreeSlots, createAgent, nextAgentTickMs } from './agent-state.ts';
export { applyAgentEvent } from './agent.ts';
export * from './entries.ts';
export * from './hello.ts';
export * from './model.ts';
export { type StoredUnits, type UnitsReport, storedUnits } from './unit-leases.ts';
