/**
 * The parts of a WebAssembly module that the injector must understand: types, imports, functions,
 * memories, globals, exports and bodies. Everything else is carried through byte for byte.
 * Spec: WebAssembly Core 2.0, section 5.5.
 */
import type { Bytes } from '#libs/kernel';
import { vmError } from '../errors.ts';
import { BinaryReader } from './binary.ts';

export const SECTION = {
  custom: 0,
  type: 1,
  import: 2,
  function: 3,
  table: 4,
  memory: 5,
  global: 6,
  export: 7,
  start: 8,
  element: 9,
  code: 10,
  data: 11,
  dataCount: 12,
} as const;

/** Order in which sections stand in a file; data count (12) comes before code (10). */
export const SECTION_ORDER: readonly number[] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 10, 11];

export interface ModuleLimits {
  readonly moduleBytesMax: number;
  readonly functionsMax: number;
  readonly localsMax: number;
}

export const DEFAULT_MODULE_LIMITS: ModuleLimits = {
  moduleBytesMax: 16 * 1024 * 1024,
  functionsMax: 50_000,
  localsMax: 10_000,
};

export interface FunctionType {
  readonly params: Bytes;
  readonly results: Bytes;
}

export interface LocalGroup {
  readonly count: number;
  readonly type: number;
}

export interface FunctionBody {
  readonly locals: readonly LocalGroup[];
  /** Instructions, with the final `end`. */
  readonly code: Bytes;
}

export interface Limits {
  readonly min: number;
  readonly max?: number;
}

export interface ParsedModule {
  /** Contents of every non-custom section, by id. */
  readonly sections: ReadonlyMap<number, Bytes>;
  readonly types: readonly FunctionType[];
  /** Type index of every function, imported ones first. */
  readonly functionTypes: readonly number[];
  readonly importedFunctions: readonly ImportedFunction[];
  /** Imported and own globals together. */
  readonly globals: number;
  /** Indices of the module's own mutable globals of number types. */
  readonly mutableGlobals: readonly number[];
  readonly hasMutableReferences: boolean;
  readonly memories: readonly Limits[];
  readonly tables: readonly { readonly type: number; readonly limits: Limits }[];
  readonly importedTables: number;
  readonly exportNames: readonly string[];
  /** Indices of exported globals, by name. */
  readonly exportedGlobals: ReadonlyMap<string, number>;
  readonly start: number | undefined;
  readonly bodies: readonly FunctionBody[];
}

const EXPORT_GLOBAL = 3;
const MAGIC = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
const VALUE_TYPES = new Set([0x7f, 0x7e, 0x7d, 0x7c, 0x70, 0x6f]);
/** add, sub, mul of i32 and i64, allowed in initial values. */
const EXTENDED_CONSTANT = new Set([0x6a, 0x6b, 0x6c, 0x7c, 0x7d, 0x7e]);
const REFERENCE_TYPES = new Set([0x70, 0x6f]);

function unsupported(what: string): Error {
  return vmError('VM_MODULE_UNSUPPORTED', `the module uses ${what}`, { detail: { feature: what } });
}

export function valueType(reader: BinaryReader): number {
  const type = reader.byte();
  if (type === 0x7b) throw unsupported('SIMD');
  if (!VALUE_TYPES.has(type)) throw unsupported(`value type 0x${type.toString(16)}`);
  return type;
}

function splitSections(bytes: Bytes): Map<number, Bytes> {
  for (const [i, byte] of MAGIC.entries())
    if (bytes[i] !== byte)
      throw vmError('VM_MODULE_MALFORMED', 'not a WebAssembly 1 module (wrong magic or version)');
  const reader = new BinaryReader(bytes, MAGIC.length);
  const sections = new Map<number, Bytes>();
  let place = -1;
  while (!reader.atEnd) {
    const id = reader.byte();
    const contents = reader.take(reader.u32());
    if (id === SECTION.custom) continue;
    if (id === 13) throw unsupported('exceptions');
    const order = SECTION_ORDER.indexOf(id);
    if (order < 0) throw unsupported(`section ${id}`);
    if (order <= place) reader.fail(`section ${id} out of order or twice`);
    place = order;
    sections.set(id, contents);
  }
  return sections;
}

/** Reads a section that is one vector and must end where the vector ends. */
function readVector<T>(contents: Bytes | undefined, item: (reader: BinaryReader) => T): T[] {
  if (!contents) return [];
  const reader = new BinaryReader(contents);
  const count = reader.u32();
  if (count > contents.length) reader.fail('vector longer than its section');
  const out: T[] = [];
  for (let i = 0; i < count; i++) out.push(item(reader));
  if (!reader.atEnd) reader.fail('data after the end of a section');
  return out;
}

function functionType(reader: BinaryReader): FunctionType {
  const form = reader.byte();
  if (form !== 0x60) throw unsupported('garbage-collected types');
  const types = () => {
    const count = reader.u32();
    return Uint8Array.from({ length: Math.min(count, reader.end) }, () => valueType(reader));
  };
  return { params: types(), results: types() };
}

export function readLimits(reader: BinaryReader): Limits {
  const flags = reader.byte();
  if (flags === 2 || flags === 3) throw unsupported('threads');
  if (flags > 3) throw unsupported('64-bit memories or tables');
  const min = reader.u32();
  return flags === 1 ? { min, max: reader.u32() } : { min };
}

function tableType(reader: BinaryReader): { type: number; limits: Limits } {
  const type = reader.byte();
  if (!REFERENCE_TYPES.has(type)) throw unsupported('function references');
  return { type, limits: readLimits(reader) };
}

/** A function that a module expects from its host; types as `i` i32, `I` i64, `f` f32, `F` f64, `r`. */
export interface ImportedFunction {
  readonly module: string;
  readonly name: string;
  readonly params: string;
  readonly results: string;
}

const decoder = new TextDecoder('utf-8');

/** What a mutable global holds; undefined when it never changes. Its initial value is skipped. */
function globalType(reader: BinaryReader): 'number' | 'reference' | undefined {
  const type = valueType(reader);
  const mutable = reader.byte() === 1;
  for (;;) {
    const op = reader.byte();
    if (op === 0x0b && !mutable) return undefined;
    if (op === 0x0b) return REFERENCE_TYPES.has(type) ? 'reference' : 'number';
    if (op === 0x41) reader.skipSigned(32);
    else if (op === 0x42) reader.skipSigned(64);
    else if (op === 0x43) reader.skip(4);
    else if (op === 0x44) reader.skip(8);
    else if (op === 0x23 || op === 0xd2) reader.u32();
    else if (op === 0xd0) valueType(reader);
    else if (!EXTENDED_CONSTANT.has(op))
      throw unsupported(`initial values by 0x${op.toString(16)}`);
  }
}

interface Imports {
  readonly functions: number[];
  readonly names: { readonly module: string; readonly name: string }[];
  globals: number;
  tables: number;
}

function readImports(contents: Bytes | undefined): Imports {
  const imports: Imports = { functions: [], names: [], globals: 0, tables: 0 };
  readVector(contents, (reader) => {
    const module = decoder.decode(reader.name());
    const name = decoder.decode(reader.name());
    const kind = reader.byte();
    if (kind === 0) {
      imports.functions.push(reader.u32());
      imports.names.push({ module, name });
    } else if (kind === 1) {
      tableType(reader);
      imports.tables++;
    } else if (kind === 2) readLimits(reader);
    else if (kind === 3) {
      valueType(reader);
      reader.byte();
      imports.globals++;
    } else throw unsupported('exceptions');
  });
  return imports;
}

const TYPE_LETTERS = new Map([
  [0x7f, 'i'],
  [0x7e, 'I'],
  [0x7d, 'f'],
  [0x7c, 'F'],
]);

function importedFunction(
  types: readonly FunctionType[],
  imports: Imports,
  typeIndex: number,
  i: number,
): ImportedFunction {
  const type = types[typeIndex];
  const named = imports.names[i];
  if (!type || !named) throw vmError('VM_MODULE_MALFORMED', `import ${i} has no type`);
  const letters = (list: Bytes) => [...list].map((t) => TYPE_LETTERS.get(t) ?? 'r').join('');
  return { ...named, params: letters(type.params), results: letters(type.results) };
}

function functionBody(reader: BinaryReader, limits: ModuleLimits): FunctionBody {
  const size = reader.u32();
  const body = new BinaryReader(reader.take(size));
  const groups = body.u32();
  const locals: LocalGroup[] = [];
  let total = 0;
  for (let i = 0; i < groups; i++) {
    const count = body.u32();
    total += count;
    if (total > limits.localsMax)
      throw vmError('VM_MODULE_LIMIT', `a function has over ${limits.localsMax} locals`);
    locals.push({ count, type: valueType(body) });
  }
  return { locals, code: body.take(body.end - body.offset) };
}

/**
 * Parses a module that `WebAssembly.validate` accepted.
 *
 * @throws VM_MODULE_MALFORMED, VM_MODULE_UNSUPPORTED, VM_MODULE_LIMIT
 */
export function parseModule(bytes: Bytes, limits: ModuleLimits): ParsedModule {
  if (bytes.length > limits.moduleBytesMax)
    throw vmError(
      'VM_MODULE_LIMIT',
      `module of ${bytes.length} bytes where ${limits.moduleBytesMax} are allowed`,
    );
  const sections = splitSections(bytes);
  const section = (id: number) => sections.get(id);
  const imports = readImports(section(SECTION.import));
  const own = readVector(section(SECTION.function), (reader) => reader.u32());
  if (own.length > limits.functionsMax)
    throw vmError('VM_MODULE_LIMIT', `over ${limits.functionsMax} functions`);
  const globals = readVector(section(SECTION.global), globalType);
  const startSection = section(SECTION.start);
  const types = readVector(section(SECTION.type), functionType);
  const exported = readVector(section(SECTION.export), (reader) => {
    const name = decoder.decode(reader.name());
    return { name, kind: reader.byte(), index: reader.u32() };
  });
  return {
    sections,
    types,
    functionTypes: [...imports.functions, ...own],
    importedFunctions: imports.functions.map((index, i) =>
      importedFunction(types, imports, index, i),
    ),
    importedTables: imports.tables,
    globals: imports.globals + globals.length,
    mutableGlobals: globals.flatMap((held, i) => (held === 'number' ? [imports.globals + i] : [])),
    hasMutableReferences: globals.includes('reference'),
    memories: readVector(section(SECTION.memory), readLimits),
    tables: readVector(section(SECTION.table), tableType),
    exportNames: exported.map(({ name }) => name),
    exportedGlobals: new Map(
      exported.filter(({ kind }) => kind === EXPORT_GLOBAL).map(({ name, index }) => [name, index]),
    ),
    start: startSection ? new BinaryReader(startSection).u32() : undefined,
    bodies: readVector(section(SECTION.code), (reader) => functionBody(reader, limits)),
  };
}
