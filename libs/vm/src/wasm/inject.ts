/**
 * The fuel injector: rewrites a WebAssembly module so that it meters itself. Exact fuel per
 * instruction class, a counted stack instead of the engine's, deterministic limits on memory and
 * tables. Running out is a trap, which no guest code can catch.
 *
 * The rewritten module exports its instruments; names starting with `seele:` are reserved for them.
 */
import { type Bytes, concatBytes } from '#libs/kernel';
import { vmError } from '../errors.ts';
import { BinaryReader, BinaryWriter, nameBytes, signedLeb, u32Leb, vector } from './binary.ts';
import { FUEL_SCHEDULE, type FuelSchedule } from './fuel-schedule.ts';
import {
  type FloatRule,
  type Instruments,
  meterFunction,
  writeFuelCheck,
} from './function-meter.ts';
import {
  DEFAULT_MODULE_LIMITS,
  type FunctionType,
  type ImportedFunction,
  type Limits,
  type ModuleLimits,
  type ParsedModule,
  parseModule,
  SECTION,
  SECTION_ORDER,
} from './module.ts';

/** Exports that the injector adds. */
export const FUEL_EXPORT = 'seele:fuel';
export const STACK_EXPORT = 'seele:stack';
/** Table whose element 0, when set, is called instead of trapping when fuel runs out. */
export const HOOK_EXPORT = 'seele:hook';
/** The module's start function, to be called once fuel is set; absent when there is none. */
export const START_EXPORT = 'seele:start';
/** `(amount, weight)`: charges from outside without big integers. */
export const CHARGE_EXPORT = 'seele:charge';
/** Lowest value of the watched global since the host set this one; see `watchLow`. */
export const LOW_EXPORT = 'seele:low';
export const GLOBAL_EXPORT_PREFIX = 'seele:global:';
const RESERVED_PREFIX = 'seele:';

export interface InjectOptions {
  readonly floats: FloatRule;
  /** Largest memory in 64 KiB pages; `memory.grow` beyond it answers −1 on every machine. */
  readonly memoryPagesMax: number;
  readonly tableElementsMax?: number;
  readonly limits?: ModuleLimits;
  readonly schedule?: FuelSchedule;
  /** Also export the module's own mutable globals, as `seele:global:<index>`, for checkpoints. */
  readonly exportGlobals?: boolean;
  /** Name of an exported i32 global (the stack pointer) whose lowest value is to be known. */
  readonly watchLow?: string;
}

export interface InjectedModule {
  readonly bytes: Bytes;
  readonly hasStart: boolean;
  /** Restoring its memory and number globals makes an instance as good as new. */
  readonly isResettable: boolean;
  /** What the host must give; check the types, since JavaScript functions take anything. */
  readonly imports: readonly ImportedFunction[];
}

const TABLE_ELEMENTS_MAX = 65_536;

function capped(limits: Limits, max: number, what: string): Bytes {
  if (limits.min > max)
    throw vmError('VM_MODULE_LIMIT', `${what} starts at ${limits.min} where ${max} are allowed`);
  return concatBytes(
    Uint8Array.of(1),
    u32Leb(limits.min),
    u32Leb(Math.min(limits.max ?? max, max)),
  );
}

class Injector {
  readonly #module: ParsedModule;
  readonly #options: InjectOptions;
  readonly #schedule: FuelSchedule;
  readonly #types: FunctionType[];
  readonly #instruments: Instruments;
  readonly #chargeType: number;
  #isResettable: boolean;

  constructor(bytes: Bytes, options: InjectOptions) {
    this.#module = parseModule(bytes, options.limits ?? DEFAULT_MODULE_LIMITS);
    this.#options = options;
    this.#schedule = options.schedule ?? FUEL_SCHEDULE;
    for (const name of this.#module.exportNames)
      if (name.startsWith(RESERVED_PREFIX))
        throw vmError('VM_MODULE_UNSUPPORTED', `the module exports the reserved name ${name}`);
    this.#types = [...this.#module.types];
    this.#isResettable = !this.#module.hasMutableReferences;
    this.#chargeType = this.#typeIndex([0x7f, 0x7f], [0x7f]);
    this.#instruments = {
      fuelGlobal: this.#module.globals,
      stackGlobal: this.#module.globals + 1,
      chargeFunction: this.#module.functionTypes.length,
      hookTable: this.#module.tables.length + this.#module.importedTables,
      hookType: this.#typeIndex([], []),
      blockTypeOf: (results) => this.#typeIndex([], [...results]),
      low: this.#watched(),
      noteLasting: () => {
        this.#isResettable = false;
      },
    };
  }

  #watched(): Instruments['low'] {
    const { watchLow } = this.#options;
    if (watchLow === undefined) return undefined;
    const watched = this.#module.exportedGlobals.get(watchLow);
    if (watched === undefined)
      throw vmError('VM_MODULE_UNSUPPORTED', `the module exports no global ${watchLow}`);
    return { watched, global: this.#module.globals + 2 };
  }

  #typeIndex(params: readonly number[], results: readonly number[]): number {
    const same = (a: Bytes, b: readonly number[]) =>
      a.length === b.length && b.every((type, i) => a[i] === type);
    const known = this.#types.findIndex(
      (type) => same(type.params, params) && same(type.results, results),
    );
    if (known >= 0) return known;
    this.#types.push({ params: Uint8Array.from(params), results: Uint8Array.from(results) });
    return this.#types.length - 1;
  }

  inject(): InjectedModule {
    const code = this.#codeSection(); // first: it may add types
    const rewritten = new Map(this.#module.sections);
    rewritten.delete(SECTION.start);
    rewritten.set(SECTION.code, code);
    rewritten.set(SECTION.type, this.#typeSection());
    rewritten.set(
      SECTION.function,
      this.#appendItems(SECTION.function, [u32Leb(this.#chargeType)]),
    );
    rewritten.set(SECTION.global, this.#appendItems(SECTION.global, this.#globals()));
    rewritten.set(SECTION.export, this.#appendItems(SECTION.export, this.#exports()));
    if (this.#module.memories.length > 0) rewritten.set(SECTION.memory, this.#memorySection());
    rewritten.set(SECTION.table, this.#tableSection());
    const out = new BinaryWriter().byte(0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00);
    for (const id of SECTION_ORDER) {
      const contents = rewritten.get(id);
      if (contents) out.byte(id).u32(contents.length).bytes(contents);
    }
    return {
      bytes: out.finish(),
      hasStart: this.#module.start !== undefined,
      isResettable: this.#isResettable,
      imports: this.#module.importedFunctions,
    };
  }

  /** A section that is one vector, with items added at its end (or made, where it is missing). */
  #appendItems(id: number, items: readonly Bytes[]): Bytes {
    const section = this.#module.sections.get(id);
    if (!section) return vector(items);
    const reader = new BinaryReader(section);
    const count = reader.u32();
    return concatBytes(u32Leb(count + items.length), section.subarray(reader.offset), ...items);
  }

  #codeSection(): Bytes {
    const module = this.#module;
    const own = module.functionTypes.slice(module.importedFunctions.length);
    if (own.length !== module.bodies.length)
      throw vmError('VM_MODULE_MALFORMED', 'function and code sections differ in length');
    const bodies = module.bodies.map((body, i) => {
      const type = module.types[own[i] as number];
      if (!type) throw vmError('VM_MODULE_MALFORMED', `function ${i} has no type`);
      return meterFunction(module, type, body, this.#instruments, {
        floats: this.#options.floats,
        schedule: this.#schedule,
      });
    });
    return vector([...bodies, this.#chargeBody()]);
  }

  /** `(amount, weight) → amount`: fuel −= amount × weight, without overflow in 64 bits. */
  #chargeBody(): Bytes {
    const { fuelGlobal } = this.#instruments;
    const body = new BinaryWriter().byte(0x00); // no locals
    body.byte(0x23).u32(fuelGlobal);
    body.byte(0x20, 0x00, 0xad, 0x20, 0x01, 0xad, 0x7e); // i64(amount) × i64(weight)
    body.byte(0x7d, 0x24).u32(fuelGlobal);
    writeFuelCheck(body, this.#instruments);
    body.byte(0x20, 0x00, 0x0b);
    const bytes = body.finish();
    return concatBytes(u32Leb(bytes.length), bytes);
  }

  #typeSection(): Bytes {
    const list = (types: Bytes) => concatBytes(u32Leb(types.length), types);
    return vector(
      this.#types.map(({ params, results }) =>
        concatBytes(Uint8Array.of(0x60), list(params), list(results)),
      ),
    );
  }

  #globals(): Bytes[] {
    const { low } = this.#instruments;
    return [i64Global(), i32Global(), ...(low ? [i32Global()] : [])];
  }

  #exports(): Bytes[] {
    const global = (name: string, index: number) =>
      concatBytes(nameBytes(name), Uint8Array.of(0x03), u32Leb(index));
    const exports = [
      global(FUEL_EXPORT, this.#instruments.fuelGlobal),
      global(STACK_EXPORT, this.#instruments.stackGlobal),
      concatBytes(nameBytes(HOOK_EXPORT), Uint8Array.of(0x01), u32Leb(this.#instruments.hookTable)),
    ];
    const { low, chargeFunction } = this.#instruments;
    exports.push(
      concatBytes(nameBytes(CHARGE_EXPORT), Uint8Array.of(0x00), u32Leb(chargeFunction)),
    );
    if (low) exports.push(global(LOW_EXPORT, low.global));
    if (this.#options.exportGlobals)
      for (const index of this.#module.mutableGlobals)
        exports.push(global(`${GLOBAL_EXPORT_PREFIX}${index}`, index));
    if (this.#module.start !== undefined)
      exports.push(
        concatBytes(nameBytes(START_EXPORT), Uint8Array.of(0x00), u32Leb(this.#module.start)),
      );
    return exports;
  }

  #memorySection(): Bytes {
    const { memoryPagesMax } = this.#options;
    return vector(this.#module.memories.map((m) => capped(m, memoryPagesMax, 'memory (pages)')));
  }

  #tableSection(): Bytes {
    const max = this.#options.tableElementsMax ?? TABLE_ELEMENTS_MAX;
    const own = this.#module.tables.map(({ type, limits }) =>
      concatBytes(Uint8Array.of(type), capped(limits, max, 'table (elements)')),
    );
    const hook = Uint8Array.of(0x70, 0x01, 0x01, 0x01); // funcref, exactly one element
    return vector([...own, hook]);
  }
}

function i64Global(): Bytes {
  return concatBytes(Uint8Array.of(0x7e, 0x01, 0x42), signedLeb(0n), Uint8Array.of(0x0b));
}

function i32Global(): Bytes {
  return concatBytes(Uint8Array.of(0x7f, 0x01, 0x41), signedLeb(0n), Uint8Array.of(0x0b));
}

/**
 * Rewrites any valid module into one that meters itself. Before each run the host sets the exported
 * fuel and stack globals; after a trap, a negative fuel means "out of fuel" and a negative stack
 * "calls nested too deep". A function placed in the hook table is called when fuel runs out and may
 * set more, which is how checkpoints at fuel boundaries are taken.
 *
 * @throws VM_MODULE_MALFORMED when the module is not valid WebAssembly
 * @throws VM_MODULE_UNSUPPORTED when it uses a refused feature, which the message names
 * @throws VM_MODULE_LIMIT when it is larger than the limits allow
 */
export function injectFuel(bytes: Bytes, options: InjectOptions): InjectedModule {
  const limits = options.limits ?? DEFAULT_MODULE_LIMITS;
  if (bytes.length > limits.moduleBytesMax)
    throw vmError(
      'VM_MODULE_LIMIT',
      `module of ${bytes.length} bytes where ${limits.moduleBytesMax} are allowed`,
    );
  const source = new Uint8Array(bytes);
  const injected = new Injector(source, options).inject();
  // Only the engine's own validator decides what is valid; ours merely reads.
  if (!WebAssembly.validate(source))
    throw vmError('VM_MODULE_MALFORMED', 'the module does not validate');
  return injected;
}
