/**
 * Random valid WebAssembly modules that together use every instruction the metered engine knows.
 * Typed from the top: an expression of a type is made of expressions of the types it needs.
 */
import { Random } from './random.ts';

type Type = 'i32' | 'i64' | 'f32' | 'f64';
const TYPES: readonly Type[] = ['i32', 'i64', 'f32', 'f64'];
const TYPE_BYTE: Readonly<Record<Type, number>> = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c };

interface Operation {
  readonly code: readonly number[];
  readonly takes: readonly Type[];
  readonly gives: Type;
}

const operations: Operation[] = [];
const run = (from: number, to: number, takes: readonly Type[], gives: Type): void => {
  for (let code = from; code <= to; code++) operations.push({ code: [code], takes, gives });
};
run(0x45, 0x45, ['i32'], 'i32');
run(0x46, 0x4f, ['i32', 'i32'], 'i32');
run(0x50, 0x50, ['i64'], 'i32');
run(0x51, 0x5a, ['i64', 'i64'], 'i32');
run(0x5b, 0x60, ['f32', 'f32'], 'i32');
run(0x61, 0x66, ['f64', 'f64'], 'i32');
run(0x67, 0x69, ['i32'], 'i32');
run(0x6a, 0x78, ['i32', 'i32'], 'i32');
run(0x79, 0x7b, ['i64'], 'i64');
run(0x7c, 0x8a, ['i64', 'i64'], 'i64');
run(0x8b, 0x91, ['f32'], 'f32');
run(0x92, 0x98, ['f32', 'f32'], 'f32');
run(0x99, 0x9f, ['f64'], 'f64');
run(0xa0, 0xa6, ['f64', 'f64'], 'f64');
run(0xa7, 0xa7, ['i64'], 'i32');
run(0xa8, 0xa9, ['f32'], 'i32');
run(0xaa, 0xab, ['f64'], 'i32');
run(0xac, 0xad, ['i32'], 'i64');
run(0xae, 0xaf, ['f32'], 'i64');
run(0xb0, 0xb1, ['f64'], 'i64');
run(0xb2, 0xb3, ['i32'], 'f32');
run(0xb4, 0xb5, ['i64'], 'f32');
run(0xb6, 0xb6, ['f64'], 'f32');
run(0xb7, 0xb8, ['i32'], 'f64');
run(0xb9, 0xba, ['i64'], 'f64');
run(0xbb, 0xbb, ['f32'], 'f64');
run(0xbc, 0xbc, ['f32'], 'i32');
run(0xbd, 0xbd, ['f64'], 'i64');
run(0xbe, 0xbe, ['i32'], 'f32');
run(0xbf, 0xbf, ['i64'], 'f64');
run(0xc0, 0xc1, ['i32'], 'i32');
run(0xc2, 0xc4, ['i64'], 'i64');
for (let n = 0; n < 8; n++)
  operations.push({
    code: [0xfc, n],
    takes: [n % 4 < 2 ? 'f32' : 'f64'],
    gives: n < 4 ? 'i32' : 'i64',
  });
const byType = (type: Type) => operations.filter(({ gives }) => gives === type);
const OPERATIONS: Readonly<Record<Type, readonly Operation[]>> = {
  i32: byType('i32'),
  i64: byType('i64'),
  f32: byType('f32'),
  f64: byType('f64'),
};
const LOADS: Readonly<Record<Type, readonly number[]>> = {
  i32: [0x28, 0x2c, 0x2d, 0x2e, 0x2f],
  i64: [0x29, 0x30, 0x31, 0x32, 0x33, 0x34, 0x35],
  f32: [0x2a],
  f64: [0x2b],
};
const STORES: Readonly<Record<Type, readonly number[]>> = {
  i32: [0x36, 0x3a, 0x3b],
  i64: [0x37, 0x3c, 0x3d, 0x3e],
  f32: [0x38],
  f64: [0x39],
};

function signed(value: bigint): number[] {
  const out: number[] = [];
  for (let rest = value; ;) {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    const done = (rest === 0n && low < 0x40) || (rest === -1n && low >= 0x40);
    out.push(done ? low : low | 0x80);
    if (done) return out;
  }
}
const u32 = (value: number): number[] =>
  value < 128 ? [value] : [(value & 0x7f) | 0x80, ...u32(value >>> 7)];
const sized = (bytes: readonly number[]): number[] => [...u32(bytes.length), ...bytes];
const section = (id: number, bytes: readonly number[]): number[] => [id, ...sized(bytes)];
const list = (items: readonly (readonly number[])[]): number[] => [
  ...u32(items.length),
  ...items.flat(),
];

/** Locals of `run`: two of each type, and a counter for its loops. */
const localOf = (type: Type, which: number): number => TYPES.indexOf(type) * 2 + which;
const COUNTER = 8;
const HELPERS = 3; // functions 1, 2, 3 take and give i32; `run` is 0

class Body {
  readonly #random: Random;
  readonly #used: Set<string>;
  readonly #isHelper: boolean;

  constructor(random: Random, used: Set<string>, isHelper: boolean) {
    this.#random = random;
    this.#used = used;
    this.#isHelper = isHelper;
  }

  #op(...code: readonly number[]): number[] {
    const [first = 0, second = 0] = code;
    this.#used.add(first === 0xfc ? `fc${second}` : first.toString(16));
    return [...code];
  }

  constant(type: Type): number[] {
    const random = this.#random;
    if (type === 'i32' || type === 'i64') {
      const edges = [0n, 1n, -1n, 7n, 255n, 2n ** 31n - 1n, -(2n ** 31n)];
      const wide = type === 'i64' ? [2n ** 63n - 1n, -(2n ** 63n), 2n ** 40n + 3n] : [65_535n];
      const value = random.pick([...edges, ...wide, BigInt(random.below(1_000_000))]);
      return [...this.#op(type === 'i32' ? 0x41 : 0x42), ...signed(value)];
    }
    const float = random.pick([0, -0, 1.5, -3.25, 1e10, 1e-10, NaN, Infinity, -Infinity, 4e9]);
    const bytes = type === 'f32' ? new Float32Array([float]) : new Float64Array([float]);
    return [...this.#op(type === 'f32' ? 0x43 : 0x44), ...new Uint8Array(bytes.buffer)];
  }

  /** An address that mostly lies within the memory. */
  #address(depth: number): number[] {
    const at = this.expression('i32', depth - 1);
    return this.#random.chance(0.97) ? [...at, 0x41, ...signed(0xfffn), ...this.#op(0x71)] : at;
  }

  expression(type: Type, depth: number): number[] {
    const random = this.#random;
    if (depth <= 0)
      return random.chance(0.5)
        ? this.constant(type)
        : this.#isHelper
          ? [...this.#op(0x23), TYPES.indexOf(type)]
          : [...this.#op(0x20), localOf(type, random.below(2))];
    switch (random.below(12)) {
      case 0:
        return [...this.#op(0x23), TYPES.indexOf(type)];
      case 1:
        return [...this.#address(depth), ...this.#op(random.pick(LOADS[type])), 0, 0];
      case 2: {
        const [a, b] = [this.expression(type, depth - 1), this.expression(type, depth - 1)];
        const typed = random.chance(0.3) ? [0x1c, 1, TYPE_BYTE[type]] : [0x1b];
        return [...a, ...b, ...this.expression('i32', depth - 1), ...this.#op(...typed)];
      }
      case 3:
        return [
          ...[...this.expression('i32', depth - 1), ...this.#op(0x04), TYPE_BYTE[type]],
          ...[...this.expression(type, depth - 1), ...this.#op(0x05)],
          ...[...this.expression(type, depth - 1), ...this.#op(0x0b)],
        ];
      case 4: {
        const leave = random.chance(0.5) ? this.#op(0x0c) : this.#op(0x0d);
        const test = leave[0] === 0x0d ? this.expression('i32', depth - 1) : [];
        return [
          ...[...this.#op(0x02), TYPE_BYTE[type]],
          ...[...this.expression(type, depth - 1), ...test, ...leave, 0, 0x0b],
        ];
      }
      case 5:
        return type === 'i32' ? this.#integer(depth) : this.#operation(type, depth);
      case 6:
        if (this.#isHelper) return this.#operation(type, depth);
        return [
          ...[...this.expression(type, depth - 1), ...this.#op(0x22)],
          localOf(type, random.below(2)),
        ];
      default:
        return this.#operation(type, depth);
    }
  }

  #operation(type: Type, depth: number): number[] {
    const { code, takes } = this.#random.pick(OPERATIONS[type]);
    return [...takes.flatMap((t) => this.expression(t, depth - 1)), ...this.#op(...code)];
  }

  /** Integers that come from calls, the memory and the table. */
  #integer(depth: number): number[] {
    const random = this.#random;
    const simple = this.expression('i32', depth - 1);
    switch (random.below(this.#isHelper ? 5 : 7)) {
      case 0:
        return [...this.#op(0x3f), 0];
      case 1:
        return [...simple, 0x41, 1, ...this.#op(0x71), ...this.#op(0x40), 0];
      case 2:
        return [...this.#op(0xfc, 0x10), 0];
      case 3:
        return random.chance(0.5)
          ? [...this.#op(0xd0), 0x70, ...this.#op(0xd1)]
          : [...this.#op(0xd2), 1, ...this.#op(0xd1)];
      case 4:
        return [0x41, random.below(6), ...this.#op(0x25), 0, ...this.#op(0xd1)];
      case 5:
        return [...simple, ...this.#op(0x10), 1 + random.below(HELPERS)];
      default:
        return [...simple, 0x41, random.below(5), ...this.#op(0x11), 1, 0];
    }
  }

  /** Something that leaves nothing on the stack. */
  statement(depth: number): number[] {
    const random = this.#random;
    const small = (max: number) => [0x41, ...signed(BigInt(random.below(max)))];
    switch (random.below(18)) {
      case 0:
        return [...this.expression(random.pick(TYPES), depth), ...this.#op(0x1a)];
      case 1:
        return [
          ...[...this.expression('i32', depth), ...this.#op(0x04), 0x40],
          ...(random.chance(0.05) ? this.#op(0x00) : this.statement(depth - 1)),
          0x0b,
        ];
      case 2:
        return this.#loop(depth);
      case 3:
        return [
          ...[0x02, 0x40, 0x02, 0x40, ...this.expression('i32', 1)],
          ...[...this.#op(0x0e), 1, 0, 1, 0x0b, ...this.statement(0), 0x0b],
        ];
      case 4:
        return [...small(4_000), ...small(300), ...small(200), ...this.#op(0xfc, 0x0b), 0];
      case 5:
        return [...small(4_000), ...small(4_000), ...small(200), ...this.#op(0xfc, 0x0a), 0, 0];
      case 6:
        return [...small(4_000), ...small(4), ...small(5), ...this.#op(0xfc, 0x08), 0, 0];
      case 7:
        return random.chance(0.2) ? [...this.#op(0xfc, 0x09), 0] : [...this.#op(0x01)];
      case 8:
        return [...small(4), ...small(2), ...small(2), ...this.#op(0xfc, 0x0c), 0, 0];
      case 9:
        return random.chance(0.2) ? [...this.#op(0xfc, 0x0d), 0] : [...this.#op(0x01)];
      case 10:
        return [...small(4), ...small(4), ...small(2), ...this.#op(0xfc, 0x0e), 0, 0];
      case 11:
        return [0xd2, 1, ...small(3), ...this.#op(0xfc, 0x0f), 0, 0x1a];
      case 12:
        return [...small(4), 0xd0, 0x70, ...small(2), ...this.#op(0xfc, 0x11), 0];
      case 13:
        return [...small(4), 0xd2, 1 + random.below(HELPERS), ...this.#op(0x26), 0];
      default: {
        const type = random.pick(TYPES);
        const value = this.expression(type, depth);
        if (random.chance(0.3)) return [...value, ...this.#op(0x24), TYPES.indexOf(type)];
        if (random.chance(0.4))
          return [...value, ...this.#op(0x21), localOf(type, random.below(2))];
        return [...this.#address(2), ...value, ...this.#op(random.pick(STORES[type])), 0, 0];
      }
    }
  }

  /** Counts down from a few; the counter is nobody else's, so it ends. */
  #loop(depth: number): number[] {
    if (depth <= 1) return [...this.#op(0x01)];
    return [
      ...[0x41, ...signed(BigInt(1 + this.#random.below(20))), 0x21, COUNTER],
      ...[...this.#op(0x03), 0x40, ...this.statement(0)],
      ...[0x20, COUNTER, 0x41, 1, 0x6b, 0x22, COUNTER, 0x0d, 0, 0x0b],
    ];
  }

  end(): number[] {
    return this.#op(0x0f);
  }
}

/** One module; `used` collects the instructions it has. Exports `run` and `memory`. */
export function wasmProgram(seed: number, used: Set<string>): Uint8Array {
  const random = new Random(seed);
  const main = new Body(random, used, false);
  const statements = Array.from({ length: 6 + random.below(18) }, () => main.statement(3));
  const locals = list([...TYPES.map((type) => [2, TYPE_BYTE[type]]), [1, 0x7f]]);
  const tail = random.chance(0.5) ? main.end() : [];
  const functions = [
    sized([...locals, ...statements.flat(), ...tail, 0x0b]),
    ...Array.from({ length: HELPERS }, () => {
      const body = new Body(random, used, true);
      return sized([0, 0x20, 0, ...body.expression('i32', 2), 0x6a, 0x0b]);
    }),
  ];
  const global = (type: Type, init: readonly number[]) => [TYPE_BYTE[type], 1, ...init, 0x0b];
  const name = (text: string) => sized([...new TextEncoder().encode(text)]);
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(
      1,
      list([
        [0x60, 0, 0],
        [0x60, 1, 0x7f, 1, 0x7f],
      ]),
    ),
    ...section(3, list([[0], [1], [1], [1]])),
    ...section(4, list([[0x70, 1, 5, 12]])),
    ...section(5, list([[1, 1, 4]])),
    ...section(
      6,
      list([
        global('i32', [0x41, 5]),
        global('i64', [0x42, 9]),
        global('f32', [0x43, 0, 0, 0xc0, 0x3f]),
        global('f64', [0x44, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f]),
      ]),
    ),
    ...section(
      7,
      list([
        [...name('run'), 0, 0],
        [...name('memory'), 2, 0],
      ]),
    ),
    ...section(
      9,
      list([
        [0x01, 0x00, 3, 1, 2, 3],
        [0x03, 0x00, 1, 1],
      ]),
    ),
    ...section(12, [1]),
    ...section(10, list(functions)),
    ...section(11, list([[0x01, ...sized([1, 2, 3, 4, 5, 6, 7, 8])]])),
  ]);
}
