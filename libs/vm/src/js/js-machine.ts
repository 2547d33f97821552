/**
 * One JavaScript guest in the metered engine. Data crosses the border as bytes only, through one
 * host function; the host never reads guest objects, so nothing a guest defines runs in the host.
 *
 * Life: create → load a module → (image is taken) → any number of calls, each from the image, so that
 * globals are not state. Everything a guest does costs fuel, loading too.
 */
import { type Bytes, utf8, utf8Decode } from '#libs/kernel';
import { vmError } from '../errors.ts';
import {
  type CallOutcome,
  GuestAbort,
  MeteredInstance,
  STACK_BYTES_DEFAULT,
  type TrapCause,
} from '../wasm/metered-instance.ts';
import { LOW_EXPORT } from '../wasm/inject.ts';
import { unflatten } from './flattened.ts';
import { GuestValues, type JsArgument, type JsReply, SCRATCH_BYTES } from './guest-values.ts';
import { JS_STACK_POINTER, type JsEngine } from './js-engine.ts';

export const JS_SOURCE_MAX_BYTES = 256 * 1024;
/** QuickJS's own guard for recursion in JavaScript; reached before the counted stack. */
export const JS_STACK_BYTES = 200_000;

/** The guest's prelude reports what the program threw. */
const THREW: JsOperation = { takes: 's', run: () => undefined };
const THREW_NUMBER = 0;

/** One operation that a guest can ask of its host. */
export interface JsOperation {
  /**
   * Kinds of the arguments: `s` text, `u` text as its UTF-8 bytes, `i` bigint within 64 bits, `n` number, `b` bytes. A final `*`
   * takes one structured value: a shape text and its leaves (see flattened.ts).
   */
  readonly takes: string;
  /** Throw `GuestAbort` to end the call. */
  run(args: readonly JsArgument[]): JsReply;
}

/** The operations of a host, by number. Number 0 is the machine's own: the guest reports a throw. */
export type JsHost = ReadonlyMap<number, JsOperation>;

export type JsOutcome =
  | { readonly kind: 'returned' }
  /** The guest threw; `message` is guest text and proves nothing. */
  | { readonly kind: 'threw'; readonly message: string }
  | { readonly kind: 'trapped'; readonly cause: TrapCause; readonly detail: string }
  | { readonly kind: 'aborted'; readonly reason: GuestAbort };

/** Which parts of the language exist; see quickjs-wasi's `Intrinsics`. */
const INTRINSICS = {
  eval: 1 << 1,
  regexp: 1 << 2,
  json: 1 << 3,
  proxy: 1 << 4,
  mapSet: 1 << 5,
  typedArrays: 1 << 6,
  promise: 1 << 7,
  bigInt: 1 << 8,
} as const;
const ALL_INTRINSICS = Object.values(INTRINSICS).reduce((mask, bit) => mask | bit, 0);

/** Leaf functions may use so much below the stack pointer without moving it (LLVM: 128). */
const STACK_RED_ZONE_BYTES = 256;
const EVAL_GLOBAL = 0;
const EVAL_MODULE = 1;
const PROMISE_PENDING = 0;
const PROMISE_FULFILLED = 1;
const JOBS_MAX = 1_000_000;

/** Everything a guest is while it does not run: enough to go on from, on any machine. */
export interface JsImage {
  readonly memory: Bytes;
  readonly stackPointer: number;
}

/** Called between two promise jobs, when the guest does not run; may look, must not touch. */
export type OnTurn = () => void;

const NO_JOBS = 0;

/** The engine after its start and the prelude: the same for every program, so it is made once. */
interface BootedEngine {
  readonly image: JsImage;
  readonly entry: number;
  readonly nothing: number;
  readonly scratch: number;
  readonly fuelUsed: bigint;
}

const BOOT_FUEL = 1_000_000_000n;
const bootedEngines = new WeakMap<JsEngine, Map<string, BootedEngine>>();

/** Raised inside the machine when a guest's exception ends a step. */
class GuestThrew extends GuestAbort {
  override readonly name = 'GuestThrew';
}

export class JsMachine {
  readonly #engine: JsEngine;
  readonly #host: JsHost;
  readonly #values = new GuestValues();
  /** What the memory holds apart from what ran since: the image that was restored last. */
  #restored: JsImage | undefined;
  #wasm: MeteredInstance;
  #image: JsImage | undefined;
  #fuelHook: (() => void) | undefined;
  /** Pointer to the prelude's entry function; lies in the image. */
  #entry = 0;
  /** Pointer to `undefined`; lies in the image. */
  #nothing = 0;
  #thrown: string | undefined;
  #stackBytes = STACK_BYTES_DEFAULT;

  private constructor(engine: JsEngine, host: JsHost) {
    this.#engine = engine;
    this.#host = host;
    this.#wasm = this.#instantiate();
  }

  /**
   * Loads a program. `prelude` is trusted source: an expression giving
   * `(host) => (namespace) => () => void`, the last of which each call runs.
   *
   * @throws VM_SOURCE_LIMIT, VM_PROGRAM_INVALID (also when loading runs out of fuel)
   */
  static load(
    engine: JsEngine,
    prelude: string,
    source: string,
    host: JsHost,
    fuel: bigint,
  ): JsMachine {
    const sizeBytes = utf8(source).length;
    if (sizeBytes > JS_SOURCE_MAX_BYTES)
      throw vmError(
        'VM_SOURCE_LIMIT',
        `source of ${sizeBytes} bytes where ${JS_SOURCE_MAX_BYTES} are allowed`,
      );
    const machine = new JsMachine(engine, host);
    machine.#startFrom(JsMachine.#booted(engine, prelude), fuel);
    machine.#loadModule(source);
    machine.#image = machine.image();
    return machine;
  }

  static #booted(engine: JsEngine, prelude: string): BootedEngine {
    const known = bootedEngines.get(engine) ?? new Map<string, BootedEngine>();
    bootedEngines.set(engine, known);
    let booted = known.get(prelude);
    if (booted === undefined) {
      const machine = new JsMachine(engine, new Map());
      machine.#wasm.fuel = BOOT_FUEL;
      machine.#boot(prelude);
      const fuelUsed = BOOT_FUEL - machine.fuel;
      const { scratch } = machine.#values;
      const pointers = { entry: machine.#entry, nothing: machine.#nothing, scratch };
      booted = { image: machine.image(), ...pointers, fuelUsed };
      known.set(prelude, booted);
    }
    return booted;
  }

  #startFrom(booted: BootedEngine, fuel: bigint): void {
    const { image, entry, nothing, scratch, fuelUsed } = booted;
    this.#become(image);
    this.#entry = entry;
    this.#nothing = nothing;
    this.#values.scratch = scratch;
    this.#wasm.fuel = fuel;
    const paid = this.#wasm.chargeOrEnd(fuelUsed);
    if (paid) this.#loadFailed(paid);
  }

  /** Another guest in the same state, which can run while this one does; `host` is its own. */
  fork(host: JsHost): JsMachine {
    const twin = new JsMachine(this.#engine, host);
    twin.#image = this.#image;
    twin.#stackBytes = this.#stackBytes;
    twin.#entry = this.#entry;
    twin.#nothing = this.#nothing;
    twin.#values.scratch = this.#values.scratch;
    return twin;
  }

  /** Share of the counted stack for each call; the default is a job's. */
  set stackBytes(value: number) {
    this.#stackBytes = value;
  }

  /** What the start of the engine cost, the same for every program under one prelude. */
  static bootFuel(engine: JsEngine, prelude: string): bigint {
    return JsMachine.#booted(engine, prelude).fuelUsed;
  }

  /** Bytes that this guest keeps in memory: its image and the running instance. */
  get residentBytes(): number {
    return this.memoryBytes + (this.#image?.memory.length ?? 0);
  }

  /** Gives back what a call grew beyond the image. */
  shrink(): void {
    if (!this.#image || this.memoryBytes === this.#image.memory.length) return;
    this.#wasm = this.#instantiate();
    this.#restored = undefined;
  }

  /** Charges for host work on behalf of the running guest. @throws GuestAbort when out of fuel */
  charge(cost: bigint | number): void {
    this.#wasm.charge(cost);
  }

  /** Bytes of guest memory in use by the engine instance. */
  get memoryBytes(): number {
    return this.#wasm.memory.buffer.byteLength;
  }

  /** The guest as it is now. Complete only while it does not run. */
  image(): JsImage {
    const memory = new Uint8Array(this.#wasm.memory.buffer).slice();
    return { memory, stackPointer: this.#stackPointer.value };
  }

  /** The guest's memory itself, to hash it in place; not valid after the guest ran again. */
  get memory(): Bytes {
    return new Uint8Array(this.#wasm.memory.buffer);
  }

  get stackPointer(): number {
    return this.#stackPointer.value;
  }

  get fuel(): bigint {
    return this.#wasm.fuel;
  }

  set fuel(value: bigint) {
    this.#wasm.fuel = value;
  }

  /** See `MeteredInstance.fuelHook`. */
  set fuelHook(hook: () => void) {
    this.#fuelHook = hook;
    this.#wasm.fuelHook = hook;
  }

  /** Runs the program's entry once, from its image, with `fuel`. */
  call(fuel: bigint, onTurn?: OnTurn): JsOutcome {
    if (!this.#image) throw vmError('VM_PROGRAM_INVALID', 'no program is loaded');
    this.#become(this.#image);
    this.#wasm.fuel = fuel;
    this.#thrown = undefined;
    const outcome = this.#step('qjs_call', this.#entry, this.#nothing, 0, 0);
    return this.#finish(outcome.kind === 'returned' ? this.#drainJobs(onTurn) : outcome);
  }

  /** Goes on from an image that was taken between two promise jobs. */
  resume(image: JsImage, fuel: bigint, onTurn?: OnTurn): JsOutcome {
    this.#become(image);
    this.#wasm.fuel = fuel;
    this.#thrown = undefined;
    return this.#finish(this.#drainJobs(onTurn));
  }

  #finish(outcome: CallOutcome): JsOutcome {
    if (outcome.kind === 'aborted' && outcome.reason instanceof GuestThrew)
      return { kind: 'threw', message: outcome.reason.message };
    if (outcome.kind !== 'returned') return outcome;
    return this.#thrown === undefined
      ? { kind: 'returned' }
      : { kind: 'threw', message: this.#thrown };
  }

  #become(image: JsImage): void {
    // Memory cannot shrink: a guest that grew past its image gets a fresh instance next time.
    if (this.#wasm.memory.buffer.byteLength !== image.memory.length) {
      this.#wasm = this.#instantiate();
      const missing = image.memory.length - this.#wasm.memory.buffer.byteLength;
      if (missing > 0) this.#wasm.memory.grow(missing / 65_536);
      this.#restored = undefined;
    }
    // The stack lies at the bottom and grows down: below its lowest point nothing was written since.
    const low = this.#low.value;
    const from = this.#restored === image ? Math.max(0, low - STACK_RED_ZONE_BYTES) : 0;
    this.#values.memory.set(image.memory.subarray(from), from);
    this.#stackPointer.value = image.stackPointer;
    this.#low.value = image.stackPointer;
    this.#restored = image;
  }

  get #low(): WebAssembly.Global<number> {
    return this.#wasm.exports[LOW_EXPORT] as WebAssembly.Global<number>;
  }

  get #stackPointer(): WebAssembly.Global<number> {
    return this.#wasm.exports[JS_STACK_POINTER] as WebAssembly.Global<number>;
  }

  #instantiate(): MeteredInstance {
    const zero = () => 0;
    const metered: MeteredInstance = new MeteredInstance(this.#engine.module, {
      env: {
        host_call: (_name: number, _length: number, _self: number, argc: number, argv: number) =>
          this.#hostCall(argc, argv),
        host_interrupt: zero,
        host_promise_rejection: (promise: number, reason: number) => {
          metered.reenter('qjs_free_value', promise);
          metered.reenter('qjs_free_value', reason);
        },
        host_module_normalize: zero, // no imports: the loader finds nothing
        host_module_load: zero,
        host_get_timezone_offset: zero,
      },
      wasi_snapshot_preview1: {
        clock_time_get: (_clock: number, _precision: bigint, pointer: number) => {
          new DataView(metered.memory.buffer).setBigUint64(pointer, 0n, true);
          return 0;
        },
        random_get: (pointer: number, length: number) => {
          new Uint8Array(metered.memory.buffer, pointer, length).fill(0);
          return 0;
        },
        fd_write: () => 8,
        fd_close: () => 8,
        fd_fdstat_get: () => 8,
        fd_seek: () => 8,
      },
    });
    if (this.#fuelHook) metered.fuelHook = this.#fuelHook;
    this.#values.attach(metered);
    return metered;
  }

  #boot(prelude: string): void {
    this.#must('_initialize');
    if (this.#must('qjs_init2', ALL_INTRINSICS) !== 0)
      throw vmError('VM_PROGRAM_INVALID', 'the engine did not start');
    this.#must('qjs_set_max_stack_size', JS_STACK_BYTES);
    this.#values.scratch = this.#must('wasm_malloc', SCRATCH_BYTES);
    this.#nothing = this.#must('qjs_get_undefined');
    const factory = this.#evaluate(prelude, 'prelude', EVAL_GLOBAL);
    const name = this.#write(utf8('host'));
    const host = this.#must('qjs_new_host_function', name, 4, 0);
    this.#entry = this.#apply(factory, host);
  }

  #loadModule(source: string): void {
    const promise = this.#evaluate(source, 'program', EVAL_MODULE);
    const drained = this.#drainJobs();
    if (drained.kind !== 'returned') this.#loadFailed(drained);
    const state = this.#must('qjs_promise_state', promise);
    if (state === PROMISE_PENDING)
      throw vmError('VM_PROGRAM_INVALID', 'the module never finishes loading (top-level await)');
    const result = this.#must('qjs_promise_result', promise);
    if (state !== PROMISE_FULFILLED)
      throw vmError('VM_PROGRAM_INVALID', `the module threw: ${this.#textOf(result)}`);
    this.#entry = this.#apply(this.#entry, result);
  }

  #loadFailed(outcome: Exclude<CallOutcome, { kind: 'returned' }>): never {
    const why = outcome.kind === 'trapped' ? outcome.detail : outcome.reason.message;
    throw vmError('VM_PROGRAM_INVALID', `loading failed: ${why}`);
  }

  /** One metered step of loading; anything but a return refuses the program. */
  #must(name: string, ...args: (number | bigint)[]): number {
    const outcome = this.#wasm.call(name, args);
    if (outcome.kind !== 'returned') this.#loadFailed(outcome);
    return Number(outcome.value ?? 0);
  }

  #step(name: string, ...args: number[]): CallOutcome {
    const outcome = this.#wasm.call(name, args, this.#stackBytes);
    if (outcome.kind !== 'returned') return outcome;
    const thrown = this.#wasm.call('qjs_is_exception', [outcome.value as number]);
    if (thrown.kind !== 'returned' || thrown.value === 0) return outcome;
    return { kind: 'aborted', reason: new GuestThrew('the guest threw') };
  }

  #evaluate(source: string, name: string, flags: number): number {
    const bytes = utf8(source);
    const at = this.#write(bytes);
    const file = this.#write(utf8(`${name}\0`));
    return this.#checked(this.#must('qjs_eval', at, bytes.length, file, flags));
  }

  #apply(target: number, argument: number): number {
    const args = this.#must('wasm_malloc', 4);
    new DataView(this.#wasm.memory.buffer).setUint32(args, argument, true);
    return this.#checked(this.#must('qjs_call', target, this.#nothing, 1, args));
  }

  #checked(value: number): number {
    if (this.#must('qjs_is_exception', value) === 0) return value;
    const exception = this.#must('qjs_get_exception');
    throw vmError('VM_PROGRAM_INVALID', this.#textOf(exception));
  }

  #drainJobs(onTurn?: OnTurn): CallOutcome {
    for (let i = 0; i < JOBS_MAX; i++) {
      onTurn?.(); // before anything is charged, so that a resumed guest pays the same
      const pending = this.#wasm.call('qjs_is_job_pending', []);
      if (pending.kind !== 'returned') return pending;
      if (pending.value === NO_JOBS) return pending;
      const done = this.#wasm.call('qjs_execute_pending_job', [], this.#stackBytes);
      if (done.kind !== 'returned') return done;
      if ((done.value as number) < 0)
        return { kind: 'aborted', reason: new GuestThrew('a promise job threw') };
    }
    return { kind: 'aborted', reason: new GuestThrew('too many promise jobs') };
  }

  #write(bytes: Bytes): number {
    const at = this.#must('wasm_malloc', bytes.length + 1);
    if (at === 0) throw vmError('VM_PROGRAM_INVALID', 'the program does not fit the guest memory');
    const memory = new Uint8Array(this.#wasm.memory.buffer);
    memory.set(bytes, at);
    memory[at + bytes.length] = 0;
    return at;
  }

  /** String conversion inside the guest: metered, and the text is guest text. */
  #textOf(value: number): string {
    const at = this.#must('qjs_get_string_len', value, this.#values.scratch);
    if (at === 0) return 'unprintable value';
    const size = new DataView(this.#wasm.memory.buffer).getUint32(this.#values.scratch, true);
    return readText(new Uint8Array(this.#wasm.memory.buffer, at, Math.min(size, 1_000)));
  }

  /** `host(operation, …)` in the guest. Runs on the guest's stack and fuel. */
  #hostCall(argc: number, argv: number): number {
    const values = this.#values;
    if (argc < 1) throw new GuestAbort('host call without an operation');
    const number = values.number(values.word(argv));
    const operation = number === THREW_NUMBER ? THREW : this.#host.get(number);
    if (!operation) throw new GuestAbort(`no host operation ${number}`);
    const { takes } = operation;
    const args: JsArgument[] = [];
    let next = 1;
    const read = (kind: string | undefined): JsArgument => {
      if (next >= argc) throw new GuestAbort('host call with too few arguments');
      return values.read(kind, values.word(argv + 4 * next++));
    };
    for (const kind of takes)
      args.push(kind === '*' ? unflatten(read('s') as string, read) : read(kind));
    // As everywhere in the language, arguments that nobody asked for are ignored.
    if (next !== argc && takes.endsWith('*'))
      throw new GuestAbort('host call with too many arguments');
    if (operation === THREW) this.#thrown ??= (args[0] as string).slice(0, 1_000);
    return values.build(operation.run(args));
  }
}

function readText(bytes: Bytes): string {
  try {
    return utf8Decode(bytes);
  } catch {
    return 'unprintable text';
  }
}
