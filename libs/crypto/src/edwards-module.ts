/**
 * Arithmetic of edwards25519 (RFC 8032) for two points at a time, as a WebAssembly module: lane 0 of
 * every vector belongs to one computation, lane 1 to another.
 *
 * A number mod p = 2^255 − 19 is five signed limbs of 51 bits, each an integer in a double. A product of
 * two limbs is split exactly by two fused multiply-adds: hi = a·b + C1 rounds to a multiple of 2^51
 * (C1 = 1.5·2^103, whose last place is 2^51), and lo = a·b + (C1 + C2 − hi) is what was rounded away,
 * on top of C2 = 1.5·2^52. Read as integers the two are the parts of the product plus a constant, so
 * sums of them are sums of 64-bit integers.
 *
 * All of it is exact as long as |a·b| < 2^102. A carried limb is at most 2^50 + 2^13 large ("1"); a sum
 * of two is "2", and the product of the factors' sizes has to stay below 4. Where the formulas would
 * have 2·2 or more, one factor is carried first (`carried`).
 *
 * Only for verification: time and memory accesses depend on the values.
 */
import {
  type Code,
  I32,
  V128,
  type WasmFunction,
  call,
  f64x2,
  get,
  i32,
  i64x2,
  int,
  repeat,
  set,
  signOf,
  v128,
  wasmModule,
} from './wasm-code.ts';

export const LIMBS = 5;
/** A number: five vectors. */
export const ELEMENT_BYTES = 16 * LIMBS;
/** X, Y, Z, T. */
export const POINT_BYTES = 4 * ELEMENT_BYTES;
/** A point of a table, for one lane: y + x, y − x, 2dxy as doubles, up to whole cache lines. */
export const ENTRY_BYTES = 128;

/** Temporary elements of the functions are at the beginning of the memory. */
const TEMP = (index: number): Code => int(index * ELEMENT_BYTES);
export const TEMPS_END = 10 * ELEMENT_BYTES;

const bitsOf = (value: number): bigint => new BigUint64Array(new Float64Array([value]).buffer)[0]!;
const C1 = 1.5 * 2 ** 103;
const C2 = 1.5 * 2 ** 52;
const splat = (value: number): Code => v128.bits(bitsOf(value));
const MASK_51 = v128.bits(2n ** 51n - 1n);
/** Makes a sum positive and rounds its carry; at most 2^59 is added to it. */
const BIAS = 2n ** 61n + 2n ** 50n;
const BIAS_CARRIED = 2n ** 10n;

const indices = Array.from({ length: LIMBS }, (_, i) => i);

const load = (at: Code): readonly Code[] => indices.map((i) => v128.load(at, 16 * i));
const store = (at: Code, limbs: readonly Code[]): Code =>
  limbs.flatMap((limb, i) => v128.store(at, limb, 16 * i));
const sum = (a: Code, b: Code): readonly Code[] => {
  const right = load(b);
  return load(a).map((limb, i) => f64x2.add(limb, right[i] as Code));
};
const difference = (a: Code, b: Code): readonly Code[] => {
  const right = load(b);
  return load(a).map((limb, i) => f64x2.sub(limb, right[i] as Code));
};

/** What is multiplied with what: local of one factor, local of the other, place of the product. */
type Product = readonly [a: number, b: number, place: number];

const times19 = (value: Code): Code =>
  i64x2.add(i64x2.add(i64x2.shl(value, 4), i64x2.shl(value, 1)), value);

/** Sums the products by place and stores the carried result at local 0. */
function sumOfProducts(products: readonly Product[], sums: number, hi: number): Code {
  const constants = Array.from({ length: 2 * LIMBS }, () => 0n);
  for (const [, , place] of products) {
    constants[place] = (constants[place] as bigint) - bitsOf(C2);
    constants[place + 1] = (constants[place + 1] as bigint) - bitsOf(C1);
  }
  for (const i of indices)
    constants[i] = (constants[i] as bigint) + BIAS - (i === 0 ? 0n : BIAS_CARRIED);
  const code: number[] = [];
  const begun = new Set<number>();
  const addTo = (place: number, value: Code): void => {
    const before = begun.has(place) ? get(sums + place) : v128.bits(constants[place] as bigint);
    begun.add(place);
    code.push(...set(sums + place, i64x2.add(before, value)));
  };
  for (const [a, b, place] of products) {
    code.push(...set(hi, f64x2.multiplyAdd(get(a), get(b), splat(C1))));
    addTo(place + 1, get(hi));
    addTo(place, f64x2.multiplyAdd(get(a), get(b), f64x2.sub(splat(C1 + C2), get(hi))));
  }
  // 2^255 = 19.
  for (const i of indices)
    code.push(...set(sums + i, i64x2.add(get(sums + i), times19(get(sums + LIMBS + i)))));
  for (const i of indices.slice(1)) {
    const carry = i64x2.shr(get(sums + i - 1), 51);
    code.push(...set(sums + i, i64x2.add(get(sums + i), carry)));
  }
  code.push(...set(hi, i64x2.shr(get(sums + LIMBS - 1), 51)));
  const limbs = indices.map((i) => {
    const low = v128.and(get(sums + i), MASK_51);
    const base = bitsOf(C2) - 2n ** 50n - (i === 0 ? 19n * BIAS_CARRIED : 0n);
    const whole = i64x2.add(i === 0 ? i64x2.add(low, times19(get(hi))) : low, v128.bits(base));
    return f64x2.sub(whole, splat(C2));
  });
  return [...code, ...store(get(0), limbs)];
}

const vectors = (count: number): readonly number[] => Array.from({ length: count }, () => V128);

/** out = a · b */
function multiply(): WasmFunction {
  const a = 3;
  const b = a + LIMBS;
  const sums = b + LIMBS;
  const products = indices.flatMap((i) => indices.map((j): Product => [a + i, b + j, i + j]));
  const body = [
    ...load(get(1)).flatMap((limb, i) => set(a + i, limb)),
    ...load(get(2)).flatMap((limb, i) => set(b + i, limb)),
    ...sumOfProducts(products, sums, sums + 2 * LIMBS),
  ];
  return { name: 'multiply', parameters: 3, locals: vectors(4 * LIMBS + 1), body };
}

/** out = a², for a carried a. */
function square(): WasmFunction {
  const a = 2;
  const twice = a + LIMBS;
  const sums = twice + LIMBS;
  const products = indices.flatMap((i) =>
    indices.slice(i).map((j): Product => [i === j ? a + i : twice + i, a + j, i + j]),
  );
  const body = [
    ...load(get(1)).flatMap((limb, i) => set(a + i, limb)),
    ...indices.flatMap((i) => set(twice + i, f64x2.add(get(a + i), get(a + i)))),
    ...sumOfProducts(products, sums, sums + 2 * LIMBS),
  ];
  return { name: 'square', parameters: 2, locals: vectors(4 * LIMBS + 1), body };
}

/** Stores limbs of size up to 8 as limbs of size 1. Uses five locals from `rest` and five from `over`. */
function carried(at: Code, limbs: readonly Code[], rest: number, over: number): Code {
  const code: number[] = [];
  for (const [i, limb] of limbs.entries()) {
    code.push(...set(rest + i, limb));
    // What rounding to a multiple of 2^51 leaves.
    const rounded = f64x2.sub(f64x2.add(get(rest + i), splat(C1)), splat(C1));
    code.push(...set(over + i, rounded));
    code.push(...set(rest + i, f64x2.sub(get(rest + i), get(over + i))));
  }
  const out = indices.map((i) =>
    i === 0
      ? f64x2.multiplyAdd(get(over + LIMBS - 1), splat(19 * 2 ** -51), get(rest))
      : f64x2.multiplyAdd(get(over + i - 1), splat(2 ** -51), get(rest + i)),
  );
  return [...code, ...store(at, out)];
}

const FUNCTION = {
  multiply: 0,
  square: 1,
  squareTimes: 2,
  add: 3,
  subtract: 4,
  double: 5,
  addEntry: 6,
  addEntryWithoutT: 7,
} as const;
const mul = (out: Code, a: Code, b: Code): Code => call(FUNCTION.multiply, out, a, b);
const sqr = (out: Code, a: Code): Code => call(FUNCTION.square, out, a);

/** out = a^(2^n), n ≥ 1 */
function squareTimes(): WasmFunction {
  const body = [
    ...sqr(get(0), get(1)),
    ...set(2, i32.sub(get(2), int(1))),
    // Nothing is left to do after the first for n = 1: squaring is repeated while n > 0.
    ...[0x02, 0x40, ...get(2), 0x45, 0x0d, 0],
    ...repeat([...sqr(get(0), get(0)), ...set(2, i32.sub(get(2), int(1)))], get(2)),
    0x0b,
  ];
  return { name: 'squareTimes', parameters: 3, locals: [], body };
}

/** out = a + b and out = a − b, carried. */
const carriedSum = (name: string, limbs: readonly Code[]): WasmFunction => ({
  name,
  parameters: 3,
  locals: vectors(2 * LIMBS),
  body: carried(get(0), limbs, 3, 3 + LIMBS),
});

const coordinate = (index: number): Code => i32.add(get(0), int(index * ELEMENT_BYTES));
const [X, Y, Z, T] = [0, 1, 2, 3].map(coordinate) as [Code, Code, Code, Code];

/** From E, F, G, H (temporaries 0 to 3) to the point: X = E·F, Y = G·H, Z = F·G, T = E·H. */
const fromParts = (withT: boolean): Code => [
  ...mul(X, TEMP(0), TEMP(1)),
  ...mul(Y, TEMP(2), TEMP(3)),
  ...mul(Z, TEMP(1), TEMP(2)),
  ...(withT ? mul(T, TEMP(0), TEMP(3)) : []),
];

/** Doubles the point at local 0 (dbl-2008-hwcd with a = −1; E, F, G, H all negated). */
function double(): WasmFunction {
  const rest = 1;
  const over = rest + LIMBS;
  const twice = (at: Code) => sum(at, at);
  const minus = (limbs: readonly Code[], at: Code) => {
    const right = load(at);
    return limbs.map((limb, i) => f64x2.sub(limb, right[i] as Code));
  };
  const body = [
    ...sqr(TEMP(4), X),
    ...sqr(TEMP(5), Y),
    ...sqr(TEMP(6), Z),
    ...mul(TEMP(7), X, Y),
    // E = 2XY, G = Y² − X², F = 2Z² − G: carried, so each meets only one factor of size 2 or less.
    ...carried(TEMP(0), twice(TEMP(7)), rest, over),
    ...carried(TEMP(2), difference(TEMP(5), TEMP(4)), rest, over),
    ...carried(TEMP(1), minus(twice(TEMP(6)), TEMP(2)), rest, over),
    ...store(TEMP(3), sum(TEMP(5), TEMP(4))),
    ...fromParts(true),
  ];
  return { name: 'double', parameters: 1, locals: vectors(2 * LIMBS), body };
}

/**
 * Adds to the point at local 0 an entry of a table for each lane (locals 1 and 2: its address, plus one
 * when its negative is meant). madd-2008-hwcd-3, complete on this curve. Doubling needs no T, so before one
 * it is left as it was.
 */
function addEntry(name: string, withT: boolean): WasmFunction {
  const [entry0, entry1, swap0, swap1] = [3, 4, 5, 6] as const;
  const sign = 7;
  const rest = sign + 1;
  const over = rest + LIMBS;
  const HALF = 8 * LIMBS;
  const split = (from: number, entry: number, swap: number): Code => [
    ...set(swap, i32.mul(i32.and(get(from), int(1)), int(HALF))),
    ...set(entry, i32.and(get(from), int(-2))),
  ];
  const fetched = (first: Code, second: Code, offset: number) =>
    indices.map((i) => v128.gather(first, second, offset + 8 * i));
  // The negative of a point has y + x and y − x exchanged, and 2dxy negated.
  const sums = fetched(i32.add(get(entry0), get(swap0)), i32.add(get(entry1), get(swap1)), 0);
  const differences = fetched(
    i32.sub(get(entry0), get(swap0)),
    i32.sub(get(entry1), get(swap1)),
    HALF,
  );
  const products = fetched(get(entry0), get(entry1), 2 * HALF);
  const low = (from: number): Code => signOf(i32.and(get(from), int(1)));
  const body = [
    ...split(1, entry0, swap0),
    ...split(2, entry1, swap1),
    ...set(sign, v128.of(low(1), low(2))),
    ...store(TEMP(4), sums),
    ...store(TEMP(5), differences),
    ...store(
      TEMP(6),
      products.map((limb) => v128.xor(limb, get(sign))),
    ),
    ...store(TEMP(7), sum(Y, X)),
    ...store(TEMP(8), difference(Y, X)),
    ...mul(TEMP(4), TEMP(4), TEMP(7)),
    ...mul(TEMP(5), TEMP(5), TEMP(8)),
    ...mul(TEMP(6), TEMP(6), T),
    ...store(TEMP(7), sum(Z, Z)),
    // E = A − B, F = 2Z − C, G = 2Z + C carried, H = A + B of size 2.
    ...carried(TEMP(0), difference(TEMP(4), TEMP(5)), rest, over),
    ...carried(TEMP(1), difference(TEMP(7), TEMP(6)), rest, over),
    ...carried(TEMP(2), sum(TEMP(7), TEMP(6)), rest, over),
    ...store(TEMP(3), sum(TEMP(4), TEMP(5))),
    ...fromParts(withT),
  ];
  const locals = [I32, I32, I32, I32, ...vectors(1 + 2 * LIMBS)];
  return { name, parameters: 3, locals, body };
}

/** Steps of the combined multiplication; in each, entries are added to a lane. Between steps the point is doubled. */
export const STEPS = 26;
export const ENTRIES_PER_STEP = 3;

/**
 * Locals: point, addresses of entries (lane 0 and lane 1 in turn): those of each step, and one that is
 * added at the end.
 */
function combine(): WasmFunction {
  const left = 2;
  const add = (which: number, index: number): Code =>
    call(which, get(0), i32.load(get(1), 8 * index), i32.load(get(1), 8 * index + 4));
  const { addEntry: full, addEntryWithoutT: short } = FUNCTION;
  const body = [
    ...set(left, int(STEPS - 1)),
    ...repeat(
      [
        ...add(full, 0),
        ...add(full, 1),
        ...add(short, 2),
        ...call(FUNCTION.double, get(0)),
        ...set(1, i32.add(get(1), int(8 * ENTRIES_PER_STEP))),
        ...set(left, i32.sub(get(left), int(1))),
      ],
      get(left),
    ),
    ...add(full, 0),
    ...add(full, 1),
    ...add(full, 2),
    ...add(short, 3),
  ];
  return { name: 'combine', parameters: 2, locals: [I32], body };
}

/** What the module exports; every argument is an address. */
export interface EdwardsFunctions {
  multiply(out: number, a: number, b: number): void;
  /** `a` has to be carried, as everything is that these functions store. */
  square(out: number, a: number): void;
  squareTimes(out: number, a: number, times: number): void;
  add(out: number, a: number, b: number): void;
  subtract(out: number, a: number, b: number): void;
  double(point: number): void;
  addEntry(point: number, entry0: number, entry1: number): void;
  combine(point: number, entries: number): void;
}

export function edwardsModule(pages: number): Uint8Array {
  return wasmModule(pages, [
    multiply(),
    square(),
    squareTimes(),
    carriedSum('add', sum(get(1), get(2))),
    carriedSum('subtract', difference(get(1), get(2))),
    double(),
    addEntry('addEntry', true),
    addEntry('addEntryWithoutT', false),
    combine(),
  ]);
}
