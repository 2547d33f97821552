/** What a slot says of a metered job, checked as far as it can be from outside, and summed up. */
import type { MeteredRun } from '#contracts';
import { bytesToHex } from '#libs/kernel';
import type { JobKind, MeteredTerms } from '#libs/market';
import { CHECKPOINTS_MAX, type Checkpoint, JOB_VM_VERSIONS, checkpointsRoot } from '#libs/vm';
import type { MeteredTaskHeader } from './slot/metered-main.ts';

const CHECKPOINT_BYTES = 8 + 1 + 32;
const FUEL_TEXT = /^\d{1,19}$/;
const HASH_TEXT = /^[0-9a-f]{64}$/;

/** The program's part of a task frame's header. */
export function meteredHeader(
  kind: Exclude<JobKind, 'js'>,
  { fuelLimit, checkpointFuel, ...terms }: MeteredTerms,
): Omit<MeteredTaskHeader, 'inputs' | 'params'> {
  const { seed, epochMs, memoryBytes, quotas } = terms;
  return {
    ...{ kind, seed, epochMs, memoryBytes, quotas },
    fuelLimit: fuelLimit.toString(),
    checkpointFuel: checkpointFuel.toString(),
  };
}

export class MeteredReport {
  readonly #terms: MeteredTerms;
  readonly #checkpoints: Checkpoint[] = [];
  #run: MeteredRun | undefined;

  constructor(terms: MeteredTerms) {
    this.#terms = terms;
  }

  /** What the run came to, once the slot has said it. */
  get run(): MeteredRun | undefined {
    return this.#run;
  }

  /** True when it may have ended well: all is said, and within the limit. */
  get isSound(): boolean {
    return this.#run !== undefined && this.#run.fuel <= this.#terms.fuelLimit;
  }

  /** @throws when it is no checkpoint, or not one that can follow those before */
  checkpoint(payload: Buffer): Checkpoint {
    const fuel = payload.readBigUInt64LE(0);
    const before = this.#checkpoints.at(-1)?.fuel ?? 0n;
    if (payload.length !== CHECKPOINT_BYTES || this.#checkpoints.length >= CHECKPOINTS_MAX)
      throw new Error('the slot broke the protocol');
    if (fuel < before) throw new Error('fuel runs backwards');
    const root = bytesToHex(payload.subarray(9));
    const checkpoint = { fuel, root, resumable: payload[8] === 1 };
    this.#checkpoints.push(checkpoint);
    return checkpoint;
  }

  /** @throws when it contradicts the checkpoints or the output that came */
  finish(payload: Buffer, outputBytes: number): void {
    const { engine, fuel, outputChain, outputLength } = JSON.parse(
      payload.toString('utf8'),
    ) as Record<string, unknown>;
    const [text, chain] = [String(fuel), String(outputChain)];
    if (!FUEL_TEXT.test(text) || !HASH_TEXT.test(chain) || this.#run !== undefined)
      throw new Error('the slot broke the protocol');
    if (outputLength !== outputBytes) throw new Error('the output is not as long as said');
    if (!Object.values(JOB_VM_VERSIONS).includes(engine as string))
      throw new Error('the slot names an unknown engine');
    const used = BigInt(text);
    if (used < (this.#checkpoints.at(-1)?.fuel ?? 0n)) throw new Error('fuel runs backwards');
    this.#run = {
      engine: engine as string,
      fuel: used,
      checkpoints: this.#checkpoints.length,
      checkpointsRoot: checkpointsRoot(this.#checkpoints),
      ...{ outputChain: chain, outputBytes },
    };
  }
}
