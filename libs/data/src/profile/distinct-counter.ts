/**
 * How many different values a column has: exact while they are few, then estimated by HyperLogLog
 * (Flajolet et al. 2007) with 4 096 registers (1.6 % standard error). The same values give the same
 * count in any order, so a source that did not change counts the same again.
 */
const EXACT_MAX = 4_096;
const REGISTER_BITS = 12;
const REGISTERS = 1 << REGISTER_BITS;
const HASHED_CHARS_MAX = 512;

/** 64 bits of a text as two words (the mixing of MurmurHash3's finaliser). */
function hashText(text: string): readonly [number, number] {
  const length = Math.min(text.length, HASHED_CHARS_MAX);
  let a = 0xdeadbeef ^ text.length;
  let b = 0x41c6ce57 ^ text.length;
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i);
    a = Math.imul(a ^ code, 2_654_435_761);
    b = Math.imul(b ^ code, 1_597_334_677);
  }
  a = Math.imul(a ^ (a >>> 16), 2_246_822_507) ^ Math.imul(b ^ (b >>> 13), 3_266_489_909);
  b = Math.imul(b ^ (b >>> 16), 2_246_822_507) ^ Math.imul(a ^ (a >>> 13), 3_266_489_909);
  return [a >>> 0, b >>> 0];
}

export class DistinctCounter {
  #exact: Set<number> | undefined = new Set();
  #registers: Uint8Array | undefined;

  add(text: string): void {
    const [a, b] = hashText(text);
    if (this.#exact !== undefined) {
      // 53 of the 64 bits fit a number; two of 4 096 values meet with a chance of 10^-9.
      this.#exact.add((b & 0x1f_ffff) * 2 ** 32 + a);
      if (this.#exact.size > EXACT_MAX) this.#estimate();
      return;
    }
    this.#register(a, b & 0x1f_ffff);
  }

  #estimate(): void {
    this.#registers = new Uint8Array(REGISTERS);
    for (const hash of this.#exact ?? [])
      this.#register(hash % 2 ** 32, Math.floor(hash / 2 ** 32));
    this.#exact = undefined;
  }

  #register(a: number, b: number): void {
    const registers = this.#registers as Uint8Array;
    const at = a & (REGISTERS - 1);
    const rest = (a >>> REGISTER_BITS) | 0;
    // Leading zeros of the 20 bits that are left of the first word, then of the second one's 21.
    const rank = rest !== 0 ? Math.clz32(rest) - REGISTER_BITS + 1 : 21 + Math.clz32(b) - 11;
    if (rank > (registers[at] as number)) registers[at] = rank;
  }

  /** Adds what another counter saw. */
  merge(other: DistinctCounter): void {
    if (this.#exact !== undefined && other.#exact !== undefined) {
      for (const hash of other.#exact) this.#exact.add(hash);
      if (this.#exact.size > EXACT_MAX) this.#estimate();
      return;
    }
    if (this.#exact !== undefined) this.#estimate();
    for (const hash of other.#exact ?? [])
      this.#register(hash % 2 ** 32, Math.floor(hash / 2 ** 32));
    const mine = this.#registers as Uint8Array;
    for (const [at, rank] of (other.#registers ?? new Uint8Array()).entries())
      if (rank > (mine[at] as number)) mine[at] = rank;
  }

  get isEstimate(): boolean {
    return this.#exact === undefined;
  }

  /** Estimates are rounded to two digits: more would be false precision. */
  get count(): number {
    if (this.#exact !== undefined) return this.#exact.size;
    let sum = 0;
    let zeros = 0;
    for (const rank of this.#registers as Uint8Array) {
      sum += 2 ** -rank;
      if (rank === 0) zeros++;
    }
    const raw = ((0.7213 / (1 + 1.079 / REGISTERS)) * REGISTERS * REGISTERS) / sum;
    const count =
      raw <= 2.5 * REGISTERS && zeros > 0 ? REGISTERS * Math.log(REGISTERS / zeros) : raw;
    return Number(count.toPrecision(2));
  }
}
