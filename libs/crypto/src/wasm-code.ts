/** Just enough of WebAssembly's binary format to write a module of arithmetic: bytes of instructions. */

/** Instructions, or one expression that leaves its value on the stack. */
export type Code = readonly number[];

export const I32 = 0x7f;
export const V128 = 0x7b;

/** LEB128, signed where a constant is one. */
export function leb(value: number): Code {
  const out: number[] = [];
  let rest = value;
  do {
    const low = rest & 0x7f;
    rest >>>= 7;
    out.push(rest === 0 ? low : low | 0x80);
  } while (rest !== 0);
  return out;
}

function signedLeb(value: number): Code {
  const out: number[] = [];
  let rest = value;
  for (;;) {
    const low = rest & 0x7f;
    rest >>= 7;
    const isLast = (rest === 0 && (low & 0x40) === 0) || (rest === -1 && (low & 0x40) !== 0);
    out.push(isLast ? low : low | 0x80);
    if (isLast) return out;
  }
}

const ALIGN_8 = 3;
const ALIGN_16 = 4;
const simd = (opcode: number): Code => [0xfd, ...leb(opcode)];
const binary =
  (opcode: Code) =>
  (a: Code, b: Code): Code => [...a, ...b, ...opcode];

export const get = (local: number): Code => [0x20, ...leb(local)];
export const set = (local: number, value: Code): Code => [...value, 0x21, ...leb(local)];
export const int = (value: number): Code => [0x41, ...signedLeb(value)];
export const call = (index: number, ...values: readonly Code[]): Code => [
  ...values.flat(),
  0x10,
  ...leb(index),
];

export const i32 = {
  load: (at: Code, offset = 0): Code => [...at, 0x28, 2, ...leb(offset)],
  add: binary([0x6a]),
  sub: binary([0x6b]),
  mul: binary([0x6c]),
  and: binary([0x71]),
} as const;

/** The low bit of an i32 as the sign of a lane. */
export const signOf = (value: Code): Code => [...value, 0xad, 0x42, 63, 0x86];

export const v128 = {
  load: (at: Code, offset = 0): Code => [...at, ...simd(0x00), ALIGN_16, ...leb(offset)],
  store: (at: Code, value: Code, offset = 0): Code => [
    ...at,
    ...value,
    ...simd(0x0b),
    ALIGN_16,
    ...leb(offset),
  ],
  /** One 64-bit value from each of two addresses. */
  gather: (first: Code, second: Code, offset = 0): Code => [
    ...second,
    ...first,
    ...simd(0x5d),
    ALIGN_8,
    ...leb(offset),
    ...simd(0x57),
    ALIGN_8,
    ...leb(offset),
    1,
  ],
  /** The same 64 bits in both lanes. */
  bits(value: bigint): Code {
    const bytes = new Uint8Array(16);
    const view = new DataView(bytes.buffer);
    view.setBigUint64(0, BigInt.asUintN(64, value), true);
    view.setBigUint64(8, BigInt.asUintN(64, value), true);
    return [...simd(0x0c), ...bytes];
  },
  of: (first: Code, second: Code): Code => [...first, ...simd(0x12), ...second, ...simd(0x1e), 1],
  and: binary(simd(0x4e)),
  xor: binary(simd(0x51)),
} as const;

export const i64x2 = {
  add: binary(simd(0xce)),
  shl: (a: Code, by: number): Code => [...a, ...int(by), ...simd(0xcb)],
  shr: (a: Code, by: number): Code => [...a, ...int(by), ...simd(0xcd)],
} as const;

export const f64x2 = {
  add: binary(simd(0xf0)),
  sub: binary(simd(0xf1)),
  /** a·b + c, rounded once where the processor can (relaxed SIMD). */
  multiplyAdd: (a: Code, b: Code, c: Code): Code => [...a, ...b, ...c, ...simd(0x107)],
} as const;

/** Repeats `body` as long as `whileTrue` leaves something other than 0. */
export const repeat = (body: Code, whileTrue: Code): Code => [
  0x03,
  0x40,
  ...body,
  ...whileTrue,
  0x0d,
  0,
  0x0b,
];

/** A function of i32 parameters and no result. */
export interface WasmFunction {
  readonly name: string;
  readonly parameters: number;
  /** Types of its locals, after the parameters. */
  readonly locals: readonly number[];
  readonly body: Code;
}

const text = (value: string): Code => [
  value.length,
  ...Array.from(value, (letter) => letter.charCodeAt(0)),
];
const section = (id: number, content: Code): Code => [id, ...leb(content.length), ...content];
const vector = (items: readonly Code[]): Code => [...leb(items.length), ...items.flat()];

/** A module that imports memory `e.memory` and exports its functions by their names. */
export function wasmModule(pages: number, functions: readonly WasmFunction[]): Uint8Array {
  const types = functions.map(({ parameters }) => [
    0x60,
    ...vector(Array.from({ length: parameters }, () => [I32])),
    0,
  ]);
  const bodies = functions.map(({ locals, body }) => {
    const code = [...vector(locals.map((type) => [1, type])), ...body, 0x0b];
    return [...leb(code.length), ...code];
  });
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, vector(types)),
    ...section(2, vector([[...text('e'), ...text('memory'), 0x02, 0x00, ...leb(pages)]])),
    ...section(3, vector(functions.map((_, i) => leb(i)))),
    ...section(7, vector(functions.map(({ name }, i) => [...text(name), 0x00, ...leb(i)]))),
    ...section(10, vector(bodies)),
  ]);
}
