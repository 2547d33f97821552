/**
 * How strongly cuts are final, as attested by now: kept per cut, with the sum of those attestations that
 * were made by BLS. Written with the next block; the last ones are in memory as well, since an idle chain
 * has no next block.
 */
import type { Aggregate } from '#libs/eda';
import type { KeyValueReader, KeyValueWrite } from '#libs/kernel';
import { FINALITY_HEADERS_MAX } from '#libs/ledger';
import { type Strength, decodeStrength, encodeStrength, heightOf, strengthKey } from './wire.ts';

/** Cuts whose strength is in memory. */
const RECENT_MAX = 64;
/** Checkpoints at or after a height that are looked at. */
const LOOKED_AT = 8;

export interface AttestedHeight extends Strength {
  readonly height: number;
}

export class StrengthBook {
  readonly #store: KeyValueReader;
  readonly #recent = new Map<number, Strength>();
  readonly #unwritten = new Set<number>();

  constructor(store: KeyValueReader) {
    this.#store = store;
  }

  note(height: number, weight: number, aggregate: Aggregate | undefined): void {
    this.#recent.set(height, { weight, ...(aggregate && { aggregate }) });
    this.#unwritten.add(height);
    for (const old of this.#recent.keys())
      if (this.#recent.size > RECENT_MAX && !this.#unwritten.has(old)) this.#recent.delete(old);
  }

  /** What is to be stored with the next block. */
  takeWrites(): KeyValueWrite[] {
    const heights = [...this.#unwritten];
    this.#unwritten.clear();
    return heights.flatMap((height) => {
      const strength = this.#recent.get(height);
      return strength ? [{ key: strengthKey(height), value: encodeStrength(strength) }] : [];
    });
  }

  /**
   * The strongest word on a height: attested are cuts at checkpoints, and with each all before it. With
   * `isProvable` the strongest that comes with a sum.
   */
  of(height: number, isProvable = false): AttestedHeight | undefined {
    const found = new Map<number, Strength>();
    const [start, end] = [strengthKey(height), strengthKey(height + FINALITY_HEADERS_MAX)];
    for (const [key, value] of this.#store.range({ start, end, limit: LOOKED_AT }))
      found.set(heightOf(key), decodeStrength(value));
    for (const [at, strength] of this.#recent) if (at >= height) found.set(at, strength);
    let best: AttestedHeight | undefined;
    for (const [at, strength] of found) {
      if (isProvable && !strength.aggregate) continue;
      if (!best || strength.weight > best.weight) best = { height: at, ...strength };
    }
    return best;
  }
}
