/**
 * The WebAssembly module of the fast kernel, assembled here instruction by instruction, so that its
 * source is this file and no tool is needed to build it. It imports one memory and exports one
 * function:
 *
 *   combine(out, input, stride, tables, count, length)
 *
 * writes to `out` the sum over i < count of c[i] · input[i · stride …], byte by byte in GF(2^8), for
 * `length` bytes, a multiple of 64. A product by a constant is two look-ups in 16-byte tables, one for
 * each half of the byte, which `i8x16.swizzle` does for 16 bytes at once; `tables` holds 32 bytes for
 * each coefficient (low half, high half). All pointers are multiples of 16.
 */
import type { Bytes } from '#libs/kernel';

/** Bytes that one turn of the loop works on. */
export const STEP_BYTES = 64;
const VECTOR_BYTES = 16;
const VECTORS = STEP_BYTES / VECTOR_BYTES;

type Code = readonly number[];

/** Unsigned LEB128. */
function unsigned(value: number): Code {
  const out: number[] = [];
  let rest = value;
  do {
    out.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    rest >>>= 7;
  } while (rest > 0);
  return out;
}

/** A constant below 64, whose signed and unsigned LEB128 are one byte. */
const i32Const = (value: number): Code => [0x41, value];
const get = (local: number): Code => [0x20, local];
const set = (local: number): Code => [0x21, local];
const tee = (local: number): Code => [0x22, local];
const BLOCK: Code = [0x02, 0x40];
const LOOP: Code = [0x03, 0x40];
const END: Code = [0x0b];
const branchIf = (depth: number): Code => [0x0d, depth];
const I32_EQZ: Code = [0x45];
const I32_LT_U: Code = [0x49];
const I32_ADD: Code = [0x6a];
const I32_SUB: Code = [0x6b];
const vector = (operation: number): Code => [0xfd, ...unsigned(operation)];
/** Aligned to 16 bytes (2^4). */
const load = (offset: number): Code => [...vector(0x00), 4, ...unsigned(offset)];
const store = (offset: number): Code => [...vector(0x0b), 4, ...unsigned(offset)];
const splatOf = (byte: number): Code => [...vector(0x0c), ...Array<number>(16).fill(byte)];
const SWIZZLE = vector(0x0e);
const AND = vector(0x4e);
const XOR = vector(0x51);
const I16X8_SHIFT_RIGHT = vector(0x8d);

const [OUT, INPUT, STRIDE, TABLES, COUNT, LENGTH] = [0, 1, 2, 3, 4, 5] as const;
const [AT, LEFT, SOURCE, TABLE] = [6, 7, 8, 9] as const;
const [MASK, LOW, HIGH, VALUE] = [10, 11, 12, 13] as const;
const sum = (index: number) => 14 + index;
const I32_LOCALS = 4;
const V128_LOCALS = 4 + VECTORS;

const overVectors = (code: (index: number) => Code): Code =>
  Array.from({ length: VECTORS }, (_, index) => code(index)).flat();

/** sum[index] += table[value & 15] ^ table[value >> 4] */
const addProduct = (index: number): Code => [
  ...get(LOW),
  ...get(SOURCE),
  ...load(index * VECTOR_BYTES),
  ...tee(VALUE),
  ...get(MASK),
  ...AND,
  ...SWIZZLE,
  ...get(HIGH),
  ...get(VALUE),
  ...i32Const(4),
  ...I16X8_SHIFT_RIGHT, // of 16-bit lanes, so the mask clears what came over from the neighbour
  ...get(MASK),
  ...AND,
  ...SWIZZLE,
  ...XOR,
  ...get(sum(index)),
  ...XOR,
  ...set(sum(index)),
];

const body: Code = [
  ...splatOf(0x0f),
  ...set(MASK),
  ...BLOCK,
  ...get(LENGTH),
  ...I32_EQZ,
  ...branchIf(0),
  ...LOOP, // over the length
  ...overVectors((index) => [...splatOf(0), ...set(sum(index))]),
  ...[...get(INPUT), ...get(AT), ...I32_ADD, ...set(SOURCE)],
  ...[...get(TABLES), ...set(TABLE)],
  ...[...get(COUNT), ...set(LEFT)],
  ...LOOP, // over the inputs
  ...[...get(TABLE), ...load(0), ...set(LOW)],
  ...[...get(TABLE), ...load(VECTOR_BYTES), ...set(HIGH)],
  ...overVectors(addProduct),
  ...[...get(SOURCE), ...get(STRIDE), ...I32_ADD, ...set(SOURCE)],
  ...[...get(TABLE), ...i32Const(2 * VECTOR_BYTES), ...I32_ADD, ...set(TABLE)],
  ...[...get(LEFT), ...i32Const(1), ...I32_SUB, ...tee(LEFT)],
  ...branchIf(0),
  ...END,
  ...[...get(OUT), ...get(AT), ...I32_ADD, ...set(SOURCE)],
  ...overVectors((index) => [...get(SOURCE), ...get(sum(index)), ...store(index * VECTOR_BYTES)]),
  ...[...get(AT), ...[0x41, 0xc0, 0x00], ...I32_ADD, ...tee(AT)], // 64 in signed LEB128
  ...[...get(LENGTH), ...I32_LT_U],
  ...branchIf(0),
  ...END,
  ...END,
  ...END,
];

const withLength = (bytes: Code): Code => [...unsigned(bytes.length), ...bytes];
const section = (id: number, bytes: Code): Code => [id, ...withLength(bytes)];
const text = (name: string): Code => withLength([...new TextEncoder().encode(name)]);

const I32 = 0x7f;
const V128 = 0x7b;

/** The module's bytes. `pages` of 64 KiB are what its memory must have. */
export function kernelModule(pages: number): Bytes {
  const locals = [2, I32_LOCALS, I32, V128_LOCALS, V128];
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(1, [1, 0x60, 6, I32, I32, I32, I32, I32, I32, 0]),
    ...section(2, [1, ...text('e'), ...text('memory'), 0x02, 0x00, ...unsigned(pages)]),
    ...section(3, [1, 0]),
    ...section(7, [1, ...text('combine'), 0x00, 0]),
    ...section(10, [1, ...withLength([...locals, ...body])]),
  ]);
}
