/**
 * Job manifest: what to run, on what, within which limits. Stored as a dag-cbor block; its CID is
 * what the consumer signs, so nobody can swap code, data or limits afterwards.
 */
import { CID } from 'multiformats/cid';
import { create as createDigest } from 'multiformats/hashes/digest';
import { REPLICAS_MAX, TASKS_MAX } from '#contracts';
import { hashOf, sha256 } from '#libs/crypto';
import {
  type CodecValue,
  cid,
  hash32,
  list,
  oneOf,
  optional,
  record,
  text,
  u64,
  uint,
  decodeWith,
  encodeWith,
  utf8,
  type Bytes,
} from '#libs/kernel';

import { placementProblem, placementTerms } from './placement/terms.ts';
import { QUORUM_TERMS } from './verification/terms.ts';

export const MANIFEST_MAX_BYTES = 256 * 1024;
export const MANIFEST_INPUTS_MAX = 64;

export const jobLimits = record({
  wallMs: uint(24 * 3600 * 1000),
  cpuMs: uint(24 * 3600 * 1000),
  /** Resident memory of the slot above its idle size. */
  memoryBytes: uint(64 * 2 ** 30),
  outputBytes: uint(2 ** 40),
  logLines: uint(100_000),
  logBytes: uint(64 * 2 ** 20),
  hostCalls: uint(10_000_000),
});
export type JobLimits = CodecValue<typeof jobLimits>;

export const DEFAULT_JOB_LIMITS: JobLimits = {
  wallMs: 60_000,
  cpuMs: 60_000,
  memoryBytes: 256 * 2 ** 20,
  outputBytes: 64 * 2 ** 20,
  logLines: 2_000,
  logBytes: 2 ** 20,
  hostCalls: 1_000_000,
};

/** Isolation levels a provider can reach, weakest first (docs/sandbox.md). */
export const ISOLATION_LEVELS = ['S0', 'S1', 'S2', 'S3', 'S4'] as const;
export const isolationLevel = oneOf(...ISOLATION_LEVELS);
export type IsolationLevel = CodecValue<typeof isolationLevel>;

export const TIERS = ['A', 'B', 'C'] as const;
export const tier = oneOf(...TIERS);
export type Tier = CodecValue<typeof tier>;

/**
 * What runs a job. `js`: isolated-vm, fast. `wasm`: a WASI preview1 command in the metered engine.
 * `verifiable`: JavaScript or WebAssembly in the metered engine, with checkpoints, so that anyone can
 * run it again and get the same bytes and the same fuel (docs/verifiable-jobs.md).
 */
export const JOB_KINDS = ['js', 'wasm', 'verifiable'] as const;
export const jobKind = oneOf(...JOB_KINDS);
export type JobKind = CodecValue<typeof jobKind>;

/** Fuel is counted in 64 signed bits. */
const FUEL_MAX = 1n << 62n;
/** Fuel of a verifiable job that says nothing: some ten seconds of work on common machines. */
export const DEFAULT_JOB_FUEL = 100_000_000_000n;
const CHECKPOINT_FUEL = 2_000_000_000n;
/** Each boundary makes at most two checkpoints, and a run has at most 4 096. */
const BOUNDARIES_MAX = 2_000n;

/** Terms of the metered engine. */
export const metering = record({
  /** The job ends as `fuel-limit` beyond this. */
  fuel: u64,
  /** Distance of checkpoints; `verifiable` only. */
  checkpointFuel: optional(u64),
  /** What the job's clock says, always; milliseconds since 1970, 0 unless given. */
  epochMs: optional(uint()),
});
export type Metering = CodecValue<typeof metering>;

/** How the tasks of an order differ. */
export const arrayManifest = record({
  /** 1–10 000. */
  tasks: uint(TASKS_MAX),
  /** Times a task may be done to be checked. */
  replicas: uint(REPLICAS_MAX),
  /**
   * How replicas decide. `majority` (where nothing is said): more than half of `replicas`. `adaptive`: two
   * of at most `replicas`; trusted providers work alone and are checked now and then.
   */
  check: optional(oneOf('majority', 'adaptive')),
  /**
   * One input per task, which the guest gets under this name: from a document with one CID and size per
   * task (`encodeTaskInputs`), or, with `order`, the output of the task of the same number of that order.
   */
  taskInput: optional(record({ name: text(100), list: optional(cid), order: optional(hash32) })),
});
export type ArrayManifest = CodecValue<typeof arrayManifest>;

/** Inputs of an array's tasks, one each, in the order of the tasks. */
export const taskInputs = list(record({ cid, sizeBytes: uint() }), TASKS_MAX);
export type TaskInputs = CodecValue<typeof taskInputs>;
export const TASK_INPUTS_MAX_BYTES = 2 ** 20;

export const encodeTaskInputs = (value: TaskInputs): Bytes => encodeWith(taskInputs, value);
/** @throws KERNEL_CBOR_INVALID, KERNEL_CBOR_LIMIT, KERNEL_SHAPE */
export const decodeTaskInputs = (bytes: Bytes): TaskInputs =>
  decodeWith(taskInputs, bytes, { maxBytes: TASK_INPUTS_MAX_BYTES });

/** Fuel of a validator that says nothing: some seconds of work. */
export const DEFAULT_VALIDATOR_FUEL = 20_000_000_000n;
/** What a market spends at most on one look at one result. */
const VALIDATOR_FUEL_MAX = 200_000_000_000n;
/** A result is held in memory while it is looked at. */
export const VALIDATED_OUTPUT_MAX_BYTES = 16 * 2 ** 20;

const VALIDATOR_INPUTS_MAX_BYTES = 64 * 2 ** 20;
/** Name under which a validator gets the result. */
export const VALIDATED_RESULT = 'result';

/** A program of the consumer that says of each result whether it counts (docs/verification.md). */
export const validatorTerms = record({
  /** A `verifiable` job: an ES module or a WASI command, run in the metered engine. */
  code: cid,
  /** JSON text handed to it as `params`. */
  params: text(64 * 1024),
  fuel: optional(u64),
});
export type ValidatorTerms = CodecValue<typeof validatorTerms>;

/**
 * An input that another order makes: its result. Of an order of many tasks the output of one task or,
 * without `task`, a JSON list of all outputs as text (null where a task did not end well).
 */
export const orderInput = record({
  name: text(100),
  /** An earlier order of the same consumer. */
  order: hash32,
  task: optional(uint(TASKS_MAX - 1)),
});
export type OrderInput = CodecValue<typeof orderInput>;

export const manifest = record({
  version: uint(1),
  name: text(200),
  kind: jobKind,
  /** Needed for `verifiable`, possible for `wasm`, not for `js`. */
  metering: optional(metering),
  code: cid,
  inputs: list(record({ name: text(100), cid, sizeBytes: uint() }), MANIFEST_INPUTS_MAX),
  /** Inputs that are results of other orders: it waits for them. */
  from: optional(list(orderInput, MANIFEST_INPUTS_MAX)),
  /** JSON text handed to the guest as `params`. */
  params: text(64 * 1024),
  limits: jobLimits,
  minIsolation: isolationLevel,
  tier,
  resources: record({ cores: uint(1024), memoryBytes: uint(), diskBytes: optional(uint()) }),
  /** Where it may run and what matters, beyond the tier's presets. */
  placement: optional(placementTerms),
  /** Many tasks of one program; absent for one. The guest gets its number as `task.index`. */
  array: optional(arrayManifest),
  /** Who says whether a result counts, beyond exit and size; nobody where nothing is said. */
  validator: optional(validatorTerms),
});
export type Manifest = CodecValue<typeof manifest>;

/** What is wrong with a manifest beyond the shape of its fields, in words; undefined when nothing is. */
export function manifestProblem(value: Manifest): string | undefined {
  const { placement } = value;
  return (
    (placement && placementProblem(placement)) ??
    arrayProblem(value) ??
    jobProblem(value) ??
    validatorProblem(value)
  );
}

function validatorProblem({ validator, limits, inputs }: Manifest): string | undefined {
  if (!validator) return undefined;
  if (inputs.some(({ name }) => name === VALIDATED_RESULT))
    return `with a validator no input may be named ${VALIDATED_RESULT}: the result comes under that name`;
  const total = inputs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  if (total > VALIDATOR_INPUTS_MAX_BYTES)
    return `a validator gets the job's inputs, at most ${VALIDATOR_INPUTS_MAX_BYTES} bytes, these are ${total}`;
  const { fuel = DEFAULT_VALIDATOR_FUEL } = validator;
  if (fuel === 0n || fuel > VALIDATOR_FUEL_MAX)
    return `a validator's fuel must be between 1 and ${VALIDATOR_FUEL_MAX}`;
  return limits.outputBytes > VALIDATED_OUTPUT_MAX_BYTES
    ? `a validator looks at results of at most ${VALIDATED_OUTPUT_MAX_BYTES} bytes: limit outputBytes to that`
    : undefined;
}

function arrayProblem({ array, kind, inputs, from = [] }: Manifest): string | undefined {
  if (!array) return undefined;
  if (array.tasks === 0 || array.replicas === 0) return 'an array has at least one task, done once';
  if (kind !== 'js') return 'an array is of js jobs: metered jobs go one by one';
  if (array.check === 'adaptive' && array.replicas < QUORUM_TERMS.quorum)
    return `an adaptive check needs at least ${QUORUM_TERMS.quorum} replicas`;
  const { taskInput } = array;
  if (!taskInput) return undefined;
  if ((taskInput.list === undefined) === (taskInput.order === undefined))
    return 'the inputs of the tasks come from a list or from an order, one of the two';
  if ([...inputs, ...from].some(({ name }) => name === taskInput.name))
    return `two inputs are named ${JSON.stringify(taskInput.name)}`;
  return undefined;
}

function jobProblem({ kind, metering: terms, inputs, from = [] }: Manifest): string | undefined {
  const names = [...inputs, ...from].map(({ name }) => name);
  if (names.length > MANIFEST_INPUTS_MAX)
    return `${names.length} inputs, at most ${MANIFEST_INPUTS_MAX}`;
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) return `two inputs are named ${JSON.stringify(twice)}`;
  if (kind === 'js') return terms && 'a js job is not metered: leave fuel out, or say another kind';
  if (terms === undefined)
    return kind === 'verifiable' ? 'a verifiable job needs a fuel limit' : undefined;
  const { fuel, checkpointFuel } = terms;
  if (fuel === 0n || fuel > FUEL_MAX) return `the fuel limit must be between 1 and ${FUEL_MAX}`;
  if (checkpointFuel === undefined) return undefined;
  if (kind !== 'verifiable') return 'only verifiable jobs have checkpoints';
  if (checkpointFuel === 0n) return 'the distance of checkpoints must be at least 1 fuel';
  const least = leastCheckpointFuel(fuel);
  return checkpointFuel < least
    ? `checkpoints ${checkpointFuel} fuel apart are too many for ${fuel}: at least ${least}`
    : undefined;
}

const leastCheckpointFuel = (fuel: bigint): bigint => (fuel + BOUNDARIES_MAX - 1n) / BOUNDARIES_MAX;

/** Distance of checkpoints for a fuel limit when nobody says one. */
export function checkpointFuelFor(fuel: bigint): bigint {
  const least = leastCheckpointFuel(fuel);
  return least > CHECKPOINT_FUEL ? least : CHECKPOINT_FUEL;
}

/** Everything besides program and inputs that decides the result of a metered job. */
export interface MeteredTerms {
  readonly fuelLimit: bigint;
  readonly checkpointFuel: bigint;
  /** Most that a WebAssembly job's own memory can grow to. */
  readonly memoryBytes: number;
  /** 32 bytes, hex: where the job's randomness comes from. */
  readonly seed: string;
  readonly epochMs: number;
  readonly quotas: Pick<JobLimits, 'outputBytes' | 'logLines' | 'logBytes' | 'hostCalls'>;
}

/** The terms by a manifest and its CID: the provider's and everybody's who runs the job again. */
export function meteredTermsOf(
  value: Pick<Manifest, 'kind' | 'limits' | 'metering'>,
  itsCid: string,
): MeteredTerms {
  const { kind, metering: given, limits } = value;
  const { outputBytes, logLines, logBytes, hostCalls } = limits;
  const fuelLimit = given?.fuel ?? FUEL_MAX;
  // Beyond the limit there is no boundary, and so no checkpoint.
  const checkpointFuel =
    kind === 'verifiable'
      ? (given?.checkpointFuel ?? checkpointFuelFor(fuelLimit))
      : fuelLimit + 1n;
  return {
    ...{ fuelLimit, checkpointFuel, memoryBytes: limits.memoryBytes },
    seed: hashOf('seele/job-seed/1', utf8(itsCid)),
    epochMs: given?.epochMs ?? 0,
    quotas: { outputBytes, logLines, logBytes, hostCalls },
  };
}

const DAG_CBOR = 0x71;
const SHA2_256 = 0x12;

/** CID of a manifest stored as a dag-cbor block: what the consumer signs. */
export function manifestCid(value: Manifest): string {
  return CID.createV1(DAG_CBOR, createDigest(SHA2_256, sha256(encodeManifest(value)))).toString();
}

export function encodeManifest(value: Manifest): Bytes {
  return encodeWith(manifest, value);
}

/** @throws KERNEL_CBOR_INVALID, KERNEL_CBOR_LIMIT, KERNEL_SHAPE */
export function decodeManifest(bytes: Bytes): Manifest {
  return decodeWith(manifest, bytes, { maxBytes: MANIFEST_MAX_BYTES });
}
