/**
 * Seeded randomness for simulations, tests and replays: SplitMix64 seeding xoshiro128**
 * (Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2018). Not for secrets.
 */
import type { Bytes } from './bytes.ts';
import { invariant } from './errors.ts';
import type { Randomness } from './ports.ts';

export interface SeededRandomness extends Randomness {
  /** Uniform in [0, 1), 32 bits of resolution. */
  float(): number;
  /** Uniform integer in [0, below), without modulo bias. */
  below(below: number): number;
  /** True with probability `p`. */
  chance(p: number): boolean;
  /** A uniformly chosen element of a non-empty list. */
  pick<T>(list: readonly T[]): T;
  /** An independent generator, so that adding draws in one place does not shift another. */
  fork(label: string): SeededRandomness;
}

const MASK64 = (1n << 64n) - 1n;

function splitMix64(seed: bigint): () => bigint {
  let state = seed & MASK64;
  return () => {
    state = (state + 0x9e3779b97f4a7c15n) & MASK64;
    let z = state;
    z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & MASK64;
    z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & MASK64;
    return z ^ (z >> 31n);
  };
}

const rotateLeft = (x: number, k: number): number => (x << k) | (x >>> (32 - k));

class Xoshiro128 implements SeededRandomness {
  readonly #seed: bigint;
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  constructor(seed: bigint) {
    this.#seed = seed & MASK64;
    const next = splitMix64(seed);
    const first = next();
    const second = next();
    this.#a = Number(first & 0xffffffffn) | 0;
    this.#b = Number(first >> 32n) | 0;
    this.#c = Number(second & 0xffffffffn) | 0;
    this.#d = Number(second >> 32n) | 0;
  }

  #next(): number {
    const result = Math.imul(rotateLeft(Math.imul(this.#b, 5), 7), 9) >>> 0;
    const t = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= t;
    this.#d = rotateLeft(this.#d, 11);
    return result;
  }

  float(): number {
    return this.#next() / 0x100000000;
  }

  below(below: number): number {
    invariant(Number.isInteger(below) && below > 0 && below <= 0x100000000, `below(${below})`);
    const limit = 0x100000000 - (0x100000000 % below);
    let draw = this.#next();
    while (draw >= limit) draw = this.#next();
    return draw % below;
  }

  chance(p: number): boolean {
    return this.float() < p;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }

  bytes(length: number): Bytes {
    const out = new Uint8Array(length);
    for (let i = 0; i < length; i += 4) {
      const word = this.#next();
      for (let j = 0; j < 4 && i + j < length; j++) out[i + j] = word >>> (8 * j);
    }
    return out;
  }

  fork(label: string): SeededRandomness {
    let hash = this.#seed ^ 0xcbf29ce484222325n;
    for (let i = 0; i < label.length; i++)
      hash = ((hash ^ BigInt(label.charCodeAt(i))) * 0x100000001b3n) & MASK64;
    return new Xoshiro128(hash);
  }
}

/** A generator whose whole future follows from `seed`. */
export function createSeededRandomness(seed: number | bigint): SeededRandomness {
  return new Xoshiro128(BigInt(seed));
}
