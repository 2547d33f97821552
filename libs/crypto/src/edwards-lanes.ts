/**
 * Points of edwards25519 and tables of their multiples, over the functions of `edwards-module.ts`.
 *
 * A multiplication by a scalar of 253 bits is a signed comb: with digits of ±1 the scalar is the sum of
 * d_i·2^i for i < 260, always odd, and one step takes all digits whose i have the same remainder by
 * `STEPS` at once out of a table. For the base point these are ten digits (512 entries), for a key two
 * times five (32 entries): 26 doublings and 78 additions for s·B − k·A together, where computing without
 * tables doubles 253 times.
 */
import type { Bytes } from '#libs/kernel';
import {
  ELEMENT_BYTES,
  ENTRIES_PER_STEP,
  ENTRY_BYTES,
  type EdwardsFunctions,
  LIMBS,
  POINT_BYTES,
  STEPS,
  TEMPS_END,
  edwardsModule,
} from './edwards-module.ts';
import { LIMB, type Limbs, freeze, limbsOf } from './edwards-limbs.ts';

const P = 2n ** 255n - 19n;
/** RFC 8032 section 5.1. */
const D = 37095705934669439343138083508754565189542113879843219016388785533085940283555n;
const BASE_X = 15112221349535400772501151409588531511454012693041857206046113283949847762202n;
const BASE_Y = 46316835694926478169428394003475163141307993866256225615783033603165251855960n;
const SQRT_MINUS_ONE =
  19681161376707505956807079304988542015446066515923890162744021073123829784752n;

const KEY_TEETH = 5;
const KEY_BLOCKS = 2;
const BASE_TEETH = KEY_TEETH * KEY_BLOCKS;
const KEY_ENTRIES = KEY_BLOCKS << (KEY_TEETH - 1);
const BASE_ENTRIES = 1 << (BASE_TEETH - 1);
/** The comb of a key, and the key itself. */
const TABLE_BYTES = (KEY_ENTRIES + 1) * ENTRY_BYTES;

/** Points computed at once; they share one inversion. */
export const PAIRS_MAX = 64;

const ENTRIES_AT = TEMPS_END;
const NUMBERS_AT = ENTRIES_AT + 8 * (STEPS * ENTRIES_PER_STEP + 1) + 8;
const WORK_AT = NUMBERS_AT + 16 * ELEMENT_BYTES;
const PAGE_BYTES = 65_536;
const BASE_AT = PAGE_BYTES / 2;
const NEUTRAL_AT = BASE_AT + BASE_ENTRIES * ENTRY_BYTES;
const TABLES_AT = 2 * PAGE_BYTES;
/** Enough for building the base table where keys' tables come later. */
const FIRST_PAGES = 6;
const GROWTH_PAGES = 16;

const number = (index: number): number => NUMBERS_AT + index * ELEMENT_BYTES;
const [ZERO, TWICE_D, CURVE_D, ROOT] = [0, 1, 2, 3].map(number) as [number, number, number, number];
const R0 = number(4);
const R1 = number(5);
const R2 = number(6);
const R3 = number(7);
const R4 = number(8);
const R5 = number(9);
const R6 = number(10);

/** Nine words of 32 bits, the lowest first: a scalar, and the bit that all combs begin with. */
export function scalarWords(): Uint32Array {
  const words = new Uint32Array(9);
  words[8] = 1 << (STEPS * BASE_TEETH - 256);
  return words;
}

export class EdwardsLanes {
  readonly #functions: EdwardsFunctions;
  readonly #memory: WebAssembly.Memory;
  #numbers: Float64Array;
  #bytes: Uint8Array;
  /** Addresses of entries for the next point: of both lanes in turn. */
  #entries: Int32Array;
  readonly #scratch: Limbs = new Float64Array(LIMBS);

  /** @throws where WebAssembly has no relaxed SIMD */
  constructor() {
    this.#memory = new WebAssembly.Memory({ initial: FIRST_PAGES });
    const module = new WebAssembly.Module(edwardsModule(FIRST_PAGES) as Uint8Array<ArrayBuffer>);
    const { exports } = new WebAssembly.Instance(module, { e: { memory: this.#memory } });
    this.#functions = exports as unknown as EdwardsFunctions;
    this.#numbers = new Float64Array(this.#memory.buffer);
    this.#bytes = new Uint8Array(this.#memory.buffer);
    this.#entries = new Int32Array(this.#memory.buffer);
    this.#put(ZERO, 0n);
    this.#put(TWICE_D, (2n * D) % P);
    this.#put(CURVE_D, D);
    this.#put(ROOT, SQRT_MINUS_ONE);
    if (!this.#isExact()) throw new Error('multiply-add is rounded twice here');
    this.#writeEntry(NEUTRAL_AT, this.#constant(R0, 1n), R0, ZERO);
    this.#putPoint(WORK_AT, BASE_X, BASE_Y);
    this.#comb(WORK_AT, BASE_TEETH, 1, BASE_AT, TABLES_AT);
  }

  /** Whether products are exact, which they are only where multiply-add is fused. */
  #isExact(): boolean {
    const { multiply } = this.#functions;
    this.#put(R0, BASE_X);
    this.#put(R1, BASE_Y);
    multiply(R0, R0, R1);
    return this.#take(R0) === (BASE_X * BASE_Y) % P;
  }

  /** Room for that many tables of keys. */
  reserve(tables: number): void {
    const needed = TABLES_AT + tables * TABLE_BYTES - this.#memory.buffer.byteLength;
    if (needed <= 0) return;
    this.#memory.grow(Math.max(GROWTH_PAGES, Math.ceil(needed / PAGE_BYTES)));
    this.#numbers = new Float64Array(this.#memory.buffer);
    this.#bytes = new Uint8Array(this.#memory.buffer);
    this.#entries = new Int32Array(this.#memory.buffer);
  }

  /** Writes the table of the negative of a key; false when the key is no point. */
  build(table: number, key: Bytes): boolean {
    if (!this.#decompressNegative(WORK_AT, key)) return false;
    const at = TABLES_AT + table * TABLE_BYTES;
    const [x, y] = [WORK_AT, WORK_AT + ELEMENT_BYTES];
    this.#writeEntry(at + KEY_ENTRIES * ENTRY_BYTES, y, x, this.#product(R0, x, y));
    this.#comb(WORK_AT, KEY_TEETH, KEY_BLOCKS, at, WORK_AT + POINT_BYTES);
    return true;
  }

  /**
   * Chooses what `compute` adds up in a lane: s·B + k·(what `table` is of).
   * @param s an odd number below 2^254, as `scalarWords`
   * @param k any number below 2^253, as `scalarWords`
   */
  choose(lane: 0 | 1, table: number, s: Uint32Array, k: Uint32Array): void {
    const entries = this.#entries;
    const key = TABLES_AT + table * TABLE_BYTES;
    const block = (KEY_ENTRIES / KEY_BLOCKS) * ENTRY_BYTES;
    let at = ENTRIES_AT / 4 + lane;
    // Digits are d = 2b − 1 for the bits b of (scalar + 2^260 − 1) / 2: those of the scalar one place
    // higher, and the last one set. A negative last digit means the negative of an entry.
    for (let step = STEPS - 1; step >= 0; step--) {
      for (let half = 0; half < KEY_BLOCKS; half++, at += 2)
        entries[at] = address(
          key + half * block,
          k,
          step + half * STEPS,
          KEY_BLOCKS * STEPS,
          KEY_TEETH,
        );
      entries[at] = address(BASE_AT, s, step, STEPS, BASE_TEETH);
      at += 2;
    }
    // The comb gave one time too many where k is even.
    entries[at] = ((k[0] as number) & 1) === 1 ? NEUTRAL_AT : key + KEY_ENTRIES * ENTRY_BYTES + 1;
  }

  /** Computes what was chosen for both lanes, as the pair of that index (below `PAIRS_MAX`). */
  compute(pair: number): void {
    const point = WORK_AT + pair * POINT_BYTES;
    this.#copy(point, ZERO);
    this.#copy(point + ELEMENT_BYTES, this.#constant(R0, 1n));
    this.#copy(point + 2 * ELEMENT_BYTES, R0);
    this.#copy(point + 3 * ELEMENT_BYTES, ZERO);
    this.#functions.combine(point, ENTRIES_AT);
  }

  /** Calls back with x and y of both lanes of each pair, the last pair first. */
  affine(pairs: number, visit: (pair: number, lane: 0 | 1, x: Limbs, y: Limbs) => void): void {
    const { multiply } = this.#functions;
    const [x, y] = [new Float64Array(LIMBS), new Float64Array(LIMBS)];
    this.#inverses(WORK_AT, pairs, WORK_AT + PAIRS_MAX * POINT_BYTES, (pair, inverse) => {
      const point = WORK_AT + pair * POINT_BYTES;
      multiply(R3, point, inverse);
      multiply(R4, point + ELEMENT_BYTES, inverse);
      for (const lane of [0, 1] as const) {
        this.#freeze(R3, lane, x);
        this.#freeze(R4, lane, y);
        visit(pair, lane, x, y);
      }
    });
  }

  #constant(at: number, value: bigint): number {
    this.#put(at, value);
    return at;
  }

  /** Stores a number, carried, in both lanes. */
  #put(at: number, value: bigint): void {
    for (let i = 0; i < LIMBS; i++)
      this.#numbers.fill(
        Number((value >> BigInt(51 * i)) & BigInt(LIMB - 1)),
        at / 8 + 2 * i,
        at / 8 + 2 * i + 2,
      );
    if (value !== 0n) this.#functions.add(at, at, ZERO);
  }

  #take(at: number): bigint {
    this.#freeze(at, 0, this.#scratch);
    return this.#scratch.reduceRight((value, limb) => value * BigInt(LIMB) + BigInt(limb), 0n);
  }

  #putPoint(at: number, x: bigint, y: bigint): void {
    this.#put(at, x);
    this.#put(at + ELEMENT_BYTES, y);
    this.#put(at + 2 * ELEMENT_BYTES, 1n);
    this.#put(at + 3 * ELEMENT_BYTES, (x * y) % P);
  }

  #copy(to: number, from: number, bytes: number = ELEMENT_BYTES): void {
    this.#bytes.copyWithin(to, from, from + bytes);
  }

  #product(out: number, a: number, b: number): number {
    this.#functions.multiply(out, a, b);
    return out;
  }

  #freeze(at: number, lane: number, out: Limbs): void {
    for (let i = 0; i < LIMBS; i++) out[i] = this.#numbers[at / 8 + 2 * i + lane] as number;
    freeze(out);
  }

  #isZero(at: number): boolean {
    this.#freeze(at, 0, this.#scratch);
    return this.#scratch.every((limb) => limb === 0);
  }

  /** a^(2^250 − 1) to R6 and a^11 to R4. Uses R4 to R6 and what is behind them. */
  #power250(a: number): void {
    const { multiply, squareTimes } = this.#functions;
    const [t0, t1, t2, t3, t4] = [R4, R5, number(11), R6, number(12)];
    const raised = (out: number, from: number, times: number, by: number): void => {
      squareTimes(out, from, times);
      multiply(out, out, by);
    };
    squareTimes(t0, a, 1);
    raised(t1, t0, 2, a);
    multiply(t0, t0, t1);
    raised(t2, t0, 1, t1);
    raised(t1, t2, 5, t2); // a^(2^10 − 1)
    raised(t2, t1, 10, t1);
    raised(t3, t2, 20, t2);
    raised(t2, t3, 10, t1); // a^(2^50 − 1)
    raised(t3, t2, 50, t2);
    raised(t4, t3, 100, t3);
    raised(t3, t4, 50, t2);
  }

  #invert(out: number, a: number): void {
    this.#power250(a);
    this.#functions.squareTimes(R6, R6, 5);
    this.#functions.multiply(out, R6, R4);
  }

  /** One over Z of each point, the last first, all for one inversion (Montgomery's trick). */
  #inverses(
    points: number,
    count: number,
    products: number,
    visit: (index: number, inverse: number) => void,
  ): void {
    const { multiply } = this.#functions;
    const z = (index: number): number => points + index * POINT_BYTES + 2 * ELEMENT_BYTES;
    const product = (index: number): number => products + index * ELEMENT_BYTES;
    this.#copy(product(0), z(0));
    for (let i = 1; i < count; i++) multiply(product(i), product(i - 1), z(i));
    this.#invert(R0, product(count - 1));
    for (let i = count - 1; i > 0; i--) {
      multiply(R1, R0, product(i - 1));
      multiply(R0, R0, z(i));
      visit(i, R1);
    }
    visit(0, R0);
  }

  /** Writes an entry from y + x, y − x (of `y` and `x`) and 2dxy (of `xy`). */
  #writeEntry(at: number, y: number, x: number, xy: number): void {
    const { add, subtract, multiply } = this.#functions;
    const isNeutral = at === NEUTRAL_AT;
    if (isNeutral) this.#copy(number(13), y);
    else add(number(13), y, x);
    if (isNeutral) this.#copy(number(14), y);
    else subtract(number(14), y, x);
    multiply(number(15), xy, TWICE_D);
    const numbers = this.#numbers;
    for (let part = 0; part < 3; part++)
      for (let i = 0; i < LIMBS; i++)
        numbers[at / 8 + part * LIMBS + i] = numbers[number(13 + part) / 8 + 2 * i] as number;
  }

  #entriesOf(points: number, count: number, out: number, products: number): void {
    const { multiply } = this.#functions;
    this.#inverses(points, count, products, (index, inverse) => {
      const point = points + index * POINT_BYTES;
      multiply(R2, point, inverse);
      multiply(R3, point + ELEMENT_BYTES, inverse);
      this.#writeEntry(out + index * ENTRY_BYTES, R3, R2, this.#product(R4, R2, R3));
    });
  }

  /**
   * Writes the comb of the point at `from` to `out`: for each block, by the bits of the index, the last
   * tooth plus or minus each of the others. `work` is room for all that.
   */
  #comb(from: number, teeth: number, blocks: number, out: number, work: number): void {
    const { double, addEntry } = this.#functions;
    const bases = teeth * blocks;
    const size = 1 << (teeth - 1);
    const points = work;
    const singles = work + blocks * size * POINT_BYTES;
    const entries = singles + 2 * bases * POINT_BYTES;
    const products = entries + 2 * bases * ENTRY_BYTES;
    const base = (index: number): number => singles + index * POINT_BYTES;
    // Each base point, and behind them all twice each.
    this.#copy(base(0), from, POINT_BYTES);
    for (let i = 0; i < bases; i++) {
      this.#copy(base(bases + i), base(i), POINT_BYTES);
      double(base(bases + i));
      if (i === bases - 1) continue;
      this.#copy(base(i + 1), base(bases + i), POINT_BYTES);
      for (let n = 1; n < STEPS; n++) double(base(i + 1));
    }
    this.#entriesOf(singles, 2 * bases, entries, products);
    const entry = (index: number): number => entries + index * ENTRY_BYTES;
    for (let block = 0; block < blocks; block++) {
      const point = (index: number): number => points + (block * size + index) * POINT_BYTES;
      const tooth = (index: number): number => index * blocks + block;
      this.#copy(point(0), base(tooth(teeth - 1)), POINT_BYTES);
      for (let i = 0; i < teeth - 1; i++)
        addEntry(point(0), entry(tooth(i)) + 1, entry(tooth(i)) + 1);
      for (let index = 1; index < size; index++) {
        const lowest = 31 - Math.clz32(index & -index);
        const twice = entry(bases + tooth(lowest));
        this.#copy(point(index), point(index & (index - 1)), POINT_BYTES);
        addEntry(point(index), twice, twice);
      }
    }
    this.#entriesOf(points, blocks * size, out, products);
  }

  /** The negative of the point that 32 bytes stand for (RFC 8032 section 5.1.3); false for none. */
  #decompressNegative(at: number, key: Bytes): boolean {
    const { multiply, square, squareTimes, add, subtract } = this.#functions;
    const y = at + ELEMENT_BYTES;
    limbsOf(key, 0, this.#scratch);
    for (let i = 0; i < LIMBS; i++)
      this.#numbers.fill(this.#scratch[i] as number, y / 8 + 2 * i, y / 8 + 2 * i + 2);
    add(y, y, ZERO);
    this.#put(at + 2 * ELEMENT_BYTES, 1n);
    const [u, v, x] = [R0, R1, at];
    square(u, y);
    multiply(v, u, CURVE_D);
    subtract(u, u, at + 2 * ELEMENT_BYTES);
    add(v, v, at + 2 * ELEMENT_BYTES);
    // x = u·v³·(u·v⁷)^((p − 5) / 8)
    square(R2, v);
    multiply(R2, R2, v);
    square(R3, R2);
    multiply(R3, R3, v);
    multiply(R3, R3, u);
    this.#power250(R3);
    squareTimes(R6, R6, 2);
    multiply(R6, R6, R3);
    multiply(R6, R6, R2);
    multiply(x, R6, u);
    // v·x² is u or −u, or there is no such x.
    square(R2, x);
    multiply(R2, R2, v);
    subtract(R3, R2, u);
    if (!this.#isZero(R3)) {
      add(R3, R2, u);
      if (!this.#isZero(R3)) return false;
      multiply(x, x, ROOT);
    }
    this.#freeze(x, 0, this.#scratch);
    const isOdd = (this.#scratch[0] as number) % 2;
    if (isOdd === (key[31] as number) >> 7) subtract(x, ZERO, x);
    multiply(at + 3 * ELEMENT_BYTES, x, y);
    return true;
  }
}

/** Address of the entry for bits `first`, `first + distance`, …; plus one for its negative. */
function address(
  table: number,
  scalar: Uint32Array,
  first: number,
  distance: number,
  teeth: number,
): number {
  let index = 0;
  let place = first + 1;
  for (let tooth = 0; tooth < teeth; tooth++, place += distance)
    index |= (((scalar[place >> 5] as number) >>> (place & 31)) & 1) << tooth;
  const half = 1 << (teeth - 1);
  return index >= half
    ? table + (index - half) * ENTRY_BYTES
    : table + (half - 1 - index) * ENTRY_BYTES + 1;
}
