/**
 * Checkpoints of a verifiable job: at every fuel boundary a commitment to the guest's memory and to
 * what it has read and written. Two runs of one job agree on every checkpoint or one of them is
 * wrong, and the first difference tells where.
 */
import { sha256Hex } from '#libs/crypto';
import { type Bytes, encodeCbor } from '#libs/kernel';
import { type LogProof, createLogTree, logLeafHash } from '#libs/merkle';
import { JobStop, type RecordedIo } from './recorder.ts';

export interface Checkpoint {
  /** Fuel used when it was taken. */
  readonly fuel: bigint;
  /** Commitment to guest memory, globals, output so far and quotas used. */
  readonly root: string;
  /** The guest did not run: its image here is enough to go on from. */
  readonly resumable: boolean;
}

export interface GuestState {
  readonly memory: Bytes;
  /** Mutable globals in module order. */
  readonly globals: readonly bigint[];
}

export const CHECKPOINTS_MAX = 4_096;
/** Default distance of checkpoints; a fraction of a second on common machines. */
export const CHECKPOINT_FUEL_DEFAULT = 2_000_000_000n;

const PAGE_BYTES = 65_536;
const zeroPageHash = logLeafHash(new Uint8Array(PAGE_BYTES));

function isZero(page: Bytes): boolean {
  if (page.byteOffset % 8 !== 0) return page.every((byte) => byte === 0);
  const words = new BigUint64Array(page.buffer, page.byteOffset, page.length / 8);
  return words.every((word) => word === 0n);
}

/** Root of the RFC 9162 tree over the memory's 64 KiB pages. */
export function memoryRoot(memory: Bytes): string {
  const leaves: string[] = [];
  for (let at = 0; at < memory.length; at += PAGE_BYTES) {
    const page = memory.subarray(at, at + PAGE_BYTES);
    leaves.push(isZero(page) ? zeroPageHash : logLeafHash(page));
  }
  return createLogTree(leaves).root();
}

export function checkpointRoot(state: GuestState, io: RecordedIo, fuel: bigint): string {
  return sha256Hex(
    encodeCbor([
      'seele/checkpoint/1',
      memoryRoot(state.memory),
      state.memory.length,
      state.globals.map((global) => BigInt.asUintN(64, global)),
      { ...io },
      fuel,
    ]),
  );
}

/** Leaf of a checkpoint in the tree over a run's checkpoints. */
export const checkpointLeaf = ({ fuel, root, resumable }: Checkpoint): string =>
  logLeafHash(encodeCbor([fuel, root, resumable]));

/** Root of the RFC 9162 tree over a run's checkpoints: what a provider signs in place of them all. */
export const checkpointsRoot = (checkpoints: readonly Checkpoint[]): string =>
  createLogTree(checkpoints.map(checkpointLeaf)).root();

/** That a checkpoint stands at its place under that root: what a side shows in a dispute. */
export const checkpointProof = (checkpoints: readonly Checkpoint[], index: number): LogProof =>
  createLogTree(checkpoints.map(checkpointLeaf)).inclusionProof(index);

/** What the clock needs of the running guest. */
export interface ClockedGuest {
  fuel: bigint;
  state(): GuestState;
  io(): RecordedIo;
}

/** Where a clock stands; part of what a resumed run starts from. */
export interface ClockPosition {
  readonly used: bigint;
  readonly checkpoints: number;
  readonly crossed: boolean;
}

export const CLOCK_START: ClockPosition = { used: 0n, checkpoints: 0, crossed: false };

/**
 * Hands out fuel up to the next boundary, takes a checkpoint there, and ends the job at its limit.
 * Boundaries are multiples of the interval, so they do not depend on where a run began.
 */
export class CheckpointClock {
  readonly #limit: bigint;
  readonly #interval: bigint;
  readonly #guest: ClockedGuest;
  readonly #onCheckpoint: (checkpoint: Checkpoint, index: number) => void;
  #granted: bigint;
  #checkpoints: number;
  #crossed: boolean;

  constructor(
    guest: ClockedGuest,
    options: { readonly limit: bigint; readonly interval: bigint },
    onCheckpoint: (checkpoint: Checkpoint, index: number) => void,
    from: ClockPosition = CLOCK_START,
  ) {
    this.#guest = guest;
    this.#limit = options.limit;
    this.#interval = options.interval;
    this.#onCheckpoint = onCheckpoint;
    this.#granted = from.used;
    this.#checkpoints = from.checkpoints;
    this.#crossed = from.crossed;
  }

  /** Fuel used so far. */
  get used(): bigint {
    return this.#granted - this.#guest.fuel;
  }

  get position(): ClockPosition {
    return { used: this.used, checkpoints: this.#checkpoints, crossed: this.#crossed };
  }

  /** Fuel for the first stretch. */
  first(): bigint {
    return this.#grantFrom(this.#granted);
  }

  #grantFrom(used: bigint): bigint {
    const boundary = (used / this.#interval + 1n) * this.#interval;
    this.#granted = boundary < this.#limit ? boundary : this.#limit;
    return this.#granted - used;
  }

  /** The fuel hook: a boundary was crossed. @throws JobStop at the job's limit */
  boundary(): void {
    const { used } = this;
    if (used > this.#limit) throw new JobStop('fuel-limit', `over ${this.#limit} fuel`);
    this.#take(used, false);
    this.#crossed = true;
    this.#guest.fuel = this.#grantFrom(used);
  }

  /** The guest does not run: after a boundary, its image is worth keeping. */
  turn(): void {
    if (!this.#crossed) return;
    this.#crossed = false;
    this.#take(this.used, true);
  }

  #take(fuel: bigint, resumable: boolean): void {
    if (this.#checkpoints >= CHECKPOINTS_MAX)
      throw new JobStop('fuel-limit', `over ${CHECKPOINTS_MAX} checkpoints`);
    const root = checkpointRoot(this.#guest.state(), this.#guest.io(), fuel);
    const index = this.#checkpoints++;
    this.#onCheckpoint({ fuel, root, resumable }, index);
  }
}
