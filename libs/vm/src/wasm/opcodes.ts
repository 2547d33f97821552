/**
 * The instructions the metered engine knows: how to read their immediates, what they take from and
 * leave on the operand stack, and which price class they belong to. What is not listed is refused.
 * Spec: WebAssembly Core 2.0, section 5.4 and appendix "Index of Instructions".
 */

export type Immediate =
  | 'none'
  | 'block' // block type
  | 'label'
  | 'labels' // br_table
  | 'index' // function, local, global, table or type index
  | 'callIndirect' // type index, table index
  | 'memory' // alignment, offset
  | 'byte' // reserved zero byte: memory.size, memory.grow
  | 'twoIndices'
  | 's32'
  | 's64'
  | 'f32'
  | 'f64'
  | 'types' // typed select
  | 'refType';

/** Price class; `dynamic` classes also charge by an operand (see injector). */
export type FuelClass =
  | 'structure'
  | 'plain'
  | 'memory'
  | 'float'
  | 'division'
  | 'call'
  | 'memoryGrow'
  | 'bulkBytes'
  | 'bulkElements'
  | 'tableGrow';

export interface Opcode {
  readonly name: string;
  readonly immediate: Immediate;
  readonly fuel: FuelClass;
  readonly pops: number;
  readonly pushes: number;
  /** Float arithmetic whose NaN payload the specification leaves open: 32 or 64 bit result. */
  readonly nanResult?: 32 | 64;
  readonly usesFloat: boolean;
}

const single = new Map<number, Opcode>();
const prefixed = new Map<number, Opcode>();

interface Extra {
  readonly nanResult?: 32 | 64;
  readonly usesFloat?: boolean;
}

function define(
  table: Map<number, Opcode>,
  code: number,
  name: string,
  signature: readonly [pops: number, pushes: number],
  fuel: FuelClass = 'plain',
  immediate: Immediate = 'none',
  extra: Extra = {},
): void {
  const [pops, pushes] = signature;
  table.set(code, { usesFloat: false, ...extra, name, immediate, fuel, pops, pushes });
}

function defineRun(
  first: number,
  names: string,
  signature: readonly [number, number],
  fuel: FuelClass = 'plain',
  immediate: Immediate = 'none',
  extra: Extra = {},
): void {
  for (const [i, name] of names.split(' ').entries())
    define(single, first + i, name, signature, fuel, immediate, extra);
}

const FLOAT = { usesFloat: true } as const;

// Control. Calls take and leave what their type says; the injector looks it up.
define(single, 0x00, 'unreachable', [0, 0], 'structure');
define(single, 0x01, 'nop', [0, 0], 'structure');
defineRun(0x02, 'block loop', [0, 0], 'structure', 'block');
define(single, 0x04, 'if', [1, 0], 'plain', 'block');
define(single, 0x05, 'else', [0, 0], 'structure');
define(single, 0x0b, 'end', [0, 0], 'structure');
define(single, 0x0c, 'br', [0, 0], 'plain', 'label');
define(single, 0x0d, 'br_if', [1, 0], 'plain', 'label');
define(single, 0x0e, 'br_table', [1, 0], 'plain', 'labels');
define(single, 0x0f, 'return', [0, 0], 'plain');
define(single, 0x10, 'call', [0, 0], 'call', 'index');
define(single, 0x11, 'call_indirect', [1, 0], 'call', 'callIndirect');

// References, parametric, variables, tables.
define(single, 0xd0, 'ref.null', [0, 1], 'plain', 'refType');
define(single, 0xd1, 'ref.is_null', [1, 1]);
define(single, 0xd2, 'ref.func', [0, 1], 'plain', 'index');
define(single, 0x1a, 'drop', [1, 0]);
define(single, 0x1b, 'select', [3, 1]);
define(single, 0x1c, 'select', [3, 1], 'plain', 'types');
define(single, 0x20, 'local.get', [0, 1], 'plain', 'index');
define(single, 0x21, 'local.set', [1, 0], 'plain', 'index');
define(single, 0x22, 'local.tee', [1, 1], 'plain', 'index');
define(single, 0x23, 'global.get', [0, 1], 'plain', 'index');
define(single, 0x24, 'global.set', [1, 0], 'plain', 'index');
define(single, 0x25, 'table.get', [1, 1], 'memory', 'index');
define(single, 0x26, 'table.set', [2, 0], 'memory', 'index');

// Memory.
defineRun(0x28, 'i32.load i64.load', [1, 1], 'memory', 'memory');
defineRun(0x2a, 'f32.load f64.load', [1, 1], 'memory', 'memory', FLOAT);
defineRun(
  0x2c,
  'i32.load8_s i32.load8_u i32.load16_s i32.load16_u i64.load8_s i64.load8_u i64.load16_s i64.load16_u i64.load32_s i64.load32_u',
  [1, 1],
  'memory',
  'memory',
);
defineRun(0x36, 'i32.store i64.store', [2, 0], 'memory', 'memory');
defineRun(0x38, 'f32.store f64.store', [2, 0], 'memory', 'memory', FLOAT);
defineRun(
  0x3a,
  'i32.store8 i32.store16 i64.store8 i64.store16 i64.store32',
  [2, 0],
  'memory',
  'memory',
);
define(single, 0x3f, 'memory.size', [0, 1], 'plain', 'byte');
define(single, 0x40, 'memory.grow', [1, 1], 'memoryGrow', 'byte');

// Constants.
define(single, 0x41, 'i32.const', [0, 1], 'plain', 's32');
define(single, 0x42, 'i64.const', [0, 1], 'plain', 's64');
define(single, 0x43, 'f32.const', [0, 1], 'plain', 'f32', FLOAT);
define(single, 0x44, 'f64.const', [0, 1], 'plain', 'f64', FLOAT);

// Integer arithmetic and comparison.
define(single, 0x45, 'i32.eqz', [1, 1]);
defineRun(
  0x46,
  'i32.eq i32.ne i32.lt_s i32.lt_u i32.gt_s i32.gt_u i32.le_s i32.le_u i32.ge_s i32.ge_u',
  [2, 1],
);
define(single, 0x50, 'i64.eqz', [1, 1]);
defineRun(
  0x51,
  'i64.eq i64.ne i64.lt_s i64.lt_u i64.gt_s i64.gt_u i64.le_s i64.le_u i64.ge_s i64.ge_u',
  [2, 1],
);
defineRun(0x5b, 'f32.eq f32.ne f32.lt f32.gt f32.le f32.ge', [2, 1], 'float', 'none', FLOAT);
defineRun(0x61, 'f64.eq f64.ne f64.lt f64.gt f64.le f64.ge', [2, 1], 'float', 'none', FLOAT);
defineRun(0x67, 'i32.clz i32.ctz i32.popcnt', [1, 1]);
defineRun(0x6a, 'i32.add i32.sub i32.mul', [2, 1]);
defineRun(0x6d, 'i32.div_s i32.div_u i32.rem_s i32.rem_u', [2, 1], 'division');
defineRun(0x71, 'i32.and i32.or i32.xor i32.shl i32.shr_s i32.shr_u i32.rotl i32.rotr', [2, 1]);
defineRun(0x79, 'i64.clz i64.ctz i64.popcnt', [1, 1]);
defineRun(0x7c, 'i64.add i64.sub i64.mul', [2, 1]);
defineRun(0x7f, 'i64.div_s i64.div_u i64.rem_s i64.rem_u', [2, 1], 'division');
defineRun(0x83, 'i64.and i64.or i64.xor i64.shl i64.shr_s i64.shr_u i64.rotl i64.rotr', [2, 1]);

// Float arithmetic. abs, neg and copysign are bit operations: they keep a NaN's payload.
const NAN32 = { usesFloat: true, nanResult: 32 } as const;
const NAN64 = { usesFloat: true, nanResult: 64 } as const;
defineRun(0x8b, 'f32.abs f32.neg', [1, 1], 'float', 'none', FLOAT);
defineRun(0x8d, 'f32.ceil f32.floor f32.trunc f32.nearest', [1, 1], 'float', 'none', NAN32);
define(single, 0x91, 'f32.sqrt', [1, 1], 'division', 'none', NAN32);
defineRun(0x92, 'f32.add f32.sub f32.mul', [2, 1], 'float', 'none', NAN32);
define(single, 0x95, 'f32.div', [2, 1], 'division', 'none', NAN32);
defineRun(0x96, 'f32.min f32.max', [2, 1], 'float', 'none', NAN32);
define(single, 0x98, 'f32.copysign', [2, 1], 'float', 'none', FLOAT);
defineRun(0x99, 'f64.abs f64.neg', [1, 1], 'float', 'none', FLOAT);
defineRun(0x9b, 'f64.ceil f64.floor f64.trunc f64.nearest', [1, 1], 'float', 'none', NAN64);
define(single, 0x9f, 'f64.sqrt', [1, 1], 'division', 'none', NAN64);
defineRun(0xa0, 'f64.add f64.sub f64.mul', [2, 1], 'float', 'none', NAN64);
define(single, 0xa3, 'f64.div', [2, 1], 'division', 'none', NAN64);
defineRun(0xa4, 'f64.min f64.max', [2, 1], 'float', 'none', NAN64);
define(single, 0xa6, 'f64.copysign', [2, 1], 'float', 'none', FLOAT);

// Conversions.
define(single, 0xa7, 'i32.wrap_i64', [1, 1]);
defineRun(
  0xa8,
  'i32.trunc_f32_s i32.trunc_f32_u i32.trunc_f64_s i32.trunc_f64_u',
  [1, 1],
  'float',
  'none',
  FLOAT,
);
defineRun(0xac, 'i64.extend_i32_s i64.extend_i32_u', [1, 1]);
defineRun(
  0xae,
  'i64.trunc_f32_s i64.trunc_f32_u i64.trunc_f64_s i64.trunc_f64_u f32.convert_i32_s f32.convert_i32_u f32.convert_i64_s f32.convert_i64_u',
  [1, 1],
  'float',
  'none',
  FLOAT,
);
define(single, 0xb6, 'f32.demote_f64', [1, 1], 'float', 'none', NAN32);
defineRun(
  0xb7,
  'f64.convert_i32_s f64.convert_i32_u f64.convert_i64_s f64.convert_i64_u',
  [1, 1],
  'float',
  'none',
  FLOAT,
);
define(single, 0xbb, 'f64.promote_f32', [1, 1], 'float', 'none', NAN64);
defineRun(
  0xbc,
  'i32.reinterpret_f32 i64.reinterpret_f64 f32.reinterpret_i32 f64.reinterpret_i64',
  [1, 1],
  'plain',
  'none',
  FLOAT,
);
defineRun(0xc0, 'i32.extend8_s i32.extend16_s i64.extend8_s i64.extend16_s i64.extend32_s', [1, 1]);

// Prefix 0xFC: saturating conversions, bulk memory, tables.
const SATURATING =
  'i32.trunc_sat_f32_s i32.trunc_sat_f32_u i32.trunc_sat_f64_s i32.trunc_sat_f64_u i64.trunc_sat_f32_s i64.trunc_sat_f32_u i64.trunc_sat_f64_s i64.trunc_sat_f64_u';
for (const [code, name] of SATURATING.split(' ').entries())
  define(prefixed, code, name, [1, 1], 'float', 'none', FLOAT);
define(prefixed, 8, 'memory.init', [3, 0], 'bulkBytes', 'twoIndices');
define(prefixed, 9, 'data.drop', [0, 0], 'plain', 'index');
define(prefixed, 10, 'memory.copy', [3, 0], 'bulkBytes', 'twoIndices');
define(prefixed, 11, 'memory.fill', [3, 0], 'bulkBytes', 'index');
define(prefixed, 12, 'table.init', [3, 0], 'bulkElements', 'twoIndices');
define(prefixed, 13, 'elem.drop', [0, 0], 'plain', 'index');
define(prefixed, 14, 'table.copy', [3, 0], 'bulkElements', 'twoIndices');
define(prefixed, 15, 'table.grow', [2, 1], 'tableGrow', 'index');
define(prefixed, 16, 'table.size', [0, 1], 'plain', 'index');
define(prefixed, 17, 'table.fill', [3, 0], 'bulkElements', 'index');

export const PREFIX_EXTENDED = 0xfc;

/** Why a prefix or opcode outside the tables is refused, in words. */
export const REFUSED_OPCODES: ReadonlyMap<number, string> = new Map([
  [0xfb, 'garbage-collected types'],
  [0xfd, 'SIMD'],
  [0xfe, 'threads'],
  [0x12, 'tail calls'],
  [0x13, 'tail calls'],
  [0x14, 'function references'],
  [0x15, 'function references'],
  [0x06, 'exceptions'],
  [0x07, 'exceptions'],
  [0x08, 'exceptions'],
  [0x09, 'exceptions'],
  [0x0a, 'exceptions'],
  [0x18, 'exceptions'],
  [0x19, 'exceptions'],
  [0x1f, 'exceptions'],
]);

export function singleOpcode(code: number): Opcode | undefined {
  return single.get(code);
}

export function extendedOpcode(code: number): Opcode | undefined {
  return prefixed.get(code);
}

/** Every known instruction: `[code, opcode]`, extended ones as 0xFC00 + code. @public */
export function allOpcodes(): readonly (readonly [number, Opcode])[] {
  return [...single, ...[...prefixed].map(([code, op]) => [0xfc00 + code, op] as const)];
}
