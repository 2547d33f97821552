/**
 * A user contract in WebAssembly: any module whose exported functions without parameters and results
 * are its methods. It reaches the chain through imports of module `seele` and reads answers from one
 * result buffer that the host keeps. Every call gets a fresh instance: globals are not state.
 *
 * | import | does |
 * |---|---|
 * | `input() → n` | puts the CBOR list of arguments into the result buffer |
 * | `read(to)` | copies the result buffer to guest memory |
 * | `frame(field) → n` | field 0 caller, 1 origin, 2 self, 3 chain, 4 seed (32 bytes each), 5 value, 6 height, 7 time in µs (8 bytes, little-endian) |
 * | `get(key, n) → n or −1` | stored value into the result buffer |
 * | `put(key, n, value, n)` · `remove(key, n)` | |
 * | `scan(prefix, n, cursor, n, limit) → n` | CBOR list of [key, value] |
 * | `emit(topic, n, data, n)` · `output(data, n)` · `revert(code, n, message, n)` | |
 * | `sha256(data, n) → 32` · `verify(key, domain, n, message, n, signature, n) → 0 or 1` | |
 * | `call(request, n) → n or −n` | CBOR [contract, method, args bytes, value, fuel]; the reply's CBOR, or [code, message] when negative |
 */
import {
  type Bytes,
  bytesToHex,
  type CborValue,
  decodeCbor,
  encodeCbor,
  hexToBytes,
  utf8Decode,
} from '#libs/kernel';
import { vmError } from '../errors.ts';
import { GLOBAL_EXPORT_PREFIX, injectFuel } from '../wasm/inject.ts';
import { type CallOutcome, GuestAbort, MeteredInstance } from '../wasm/metered-instance.ts';
import { ContractRevert, FrameOperations } from './frame-operations.ts';
import { CONTRACT_LIMITS, type ContractHost } from './host.ts';
import {
  type ContractCall,
  type ContractOutcome,
  CONTRACT_STACK_BYTES,
  LOAD_FUEL_MAX,
  METHOD_NAME,
  type UserContract,
} from './outcome.ts';

export const WASM_CONTRACT_MAX_BYTES = 512 * 1024;
/** How the injector treats contracts; part of the VM version. */
export const WASM_CONTRACT_RULES = {
  floats: 'canonicalise',
  memoryPagesMax: 512,
  exportGlobals: true,
} as const;
const FUEL_PER_CODE_BYTE = 100n;
/** Machine code and metadata that V8 keeps, about. */
const COMPILED_BYTES_PER_CODE_BYTE = 12;

/** Exact types of the imports: the host's functions rely on getting 32-bit integers. */
const IMPORT_TYPES: ReadonlyMap<string, string> = new Map([
  ['input', ':i'],
  ['read', 'i:'],
  ['frame', 'i:i'],
  ['get', 'ii:i'],
  ['put', 'iiii:'],
  ['remove', 'ii:'],
  ['scan', 'iiiii:i'],
  ['emit', 'iiii:'],
  ['output', 'ii:'],
  ['revert', 'iiii:'],
  ['sha256', 'ii:i'],
  ['verify', 'iiiiiii:i'],
  ['call', 'ii:i'],
]);

export class WasmContract implements UserContract {
  readonly loadFuelUsed: bigint;
  readonly residentBytes: number;
  readonly #module: WebAssembly.Module;
  readonly #isResettable: boolean;
  readonly #methods: ReadonlySet<string>;
  /** How an instance is before its first call; undefined where restoring it is not exact. */
  #fresh: InstanceState | undefined;
  /** An instance that waits for its next call. */
  #idle: WasmFrame | undefined;

  private constructor(code: Bytes) {
    const { bytes, imports, isResettable } = injectFuel(code, WASM_CONTRACT_RULES);
    for (const { module, name, params, results } of imports)
      if (module !== 'seele' || IMPORT_TYPES.get(name) !== `${params}:${results}`)
        throw vmError(
          'VM_MODULE_UNSUPPORTED',
          `the contract imports ${module}.${name} (${params}:${results}), which no chain gives`,
        );
    this.#module = new WebAssembly.Module(bytes);
    for (const { kind, name } of WebAssembly.Module.imports(this.#module))
      if (kind !== 'function')
        throw vmError('VM_MODULE_UNSUPPORTED', `the contract imports the ${kind} ${name}`);
    const exported = WebAssembly.Module.exports(this.#module);
    this.#methods = new Set(
      exported.filter((e) => e.kind === 'function' && METHOD_NAME.test(e.name)).map((e) => e.name),
    );
    this.#isResettable = isResettable;
    this.loadFuelUsed = FUEL_PER_CODE_BYTE * BigInt(code.length);
    this.residentBytes = COMPILED_BYTES_PER_CODE_BYTE * bytes.length;
  }

  /**
   * @param fuelMax what the start function may cost
   * @throws VM_MODULE_MALFORMED, VM_MODULE_UNSUPPORTED, VM_MODULE_LIMIT, VM_PROGRAM_INVALID
   */
  static load(code: Bytes, fuelMax: bigint = LOAD_FUEL_MAX): WasmContract {
    if (code.length > WASM_CONTRACT_MAX_BYTES)
      throw vmError(
        'VM_MODULE_LIMIT',
        `contract of ${code.length} bytes where ${WASM_CONTRACT_MAX_BYTES} are allowed`,
      );
    const contract = new WasmContract(code);
    const frame = new WasmFrame(contract.#module);
    if (contract.#isResettable) contract.#fresh = stateOf(frame.instance);
    frame.instance.fuel = fuelMax;
    const started = frame.instance.start(CONTRACT_STACK_BYTES);
    if (started.kind !== 'returned')
      throw vmError('VM_PROGRAM_INVALID', 'the start function does not end well');
    return contract;
  }

  /** Every call gets an instance of its own, so one is enough. */
  fork(): WasmContract {
    return this;
  }

  rest(): void {
    // Nothing outlives a call.
  }

  call({ method, args, fuel, host }: ContractCall): ContractOutcome {
    if (!this.#methods.has(method))
      return { kind: 'reverted', code: 'NO_SUCH_METHOD', message: method, fuelUsed: 0n };
    const frame = this.#take();
    frame.bind(host, args);
    frame.instance.fuel = fuel;
    const started = frame.instance.start(CONTRACT_STACK_BYTES);
    const outcome =
      started.kind === 'returned' ? frame.instance.call(method, [], CONTRACT_STACK_BYTES) : started;
    const ended = frameOutcome(outcome, frame, fuel);
    if (this.#fresh) this.#idle = frame;
    return ended;
  }

  /** An instance as it is before its first call. */
  #take(): WasmFrame {
    const idle = this.#idle;
    this.#idle = undefined;
    const reset = idle && this.#fresh && restore(idle.instance, this.#fresh);
    return reset ? idle : new WasmFrame(this.#module);
  }
}

/** Memory and number globals of an instance. */
interface InstanceState {
  readonly memory: Bytes;
  readonly globals: readonly (readonly [name: string, value: number | bigint])[];
}

/** Restoring costs as much as the memory is long: larger ones are made anew. */
const RESTORED_BYTES_MAX = 1024 * 1024;

function stateOf({ exports }: MeteredInstance): InstanceState | undefined {
  const { memory } = exports;
  // A memory that cannot be seen cannot be restored.
  if (!(memory instanceof WebAssembly.Memory)) return undefined;
  const bytes = new Uint8Array(memory.buffer).slice();
  if (bytes.length > RESTORED_BYTES_MAX) return undefined;
  const globals = Object.entries(exports)
    .filter(([name]) => name.startsWith(GLOBAL_EXPORT_PREFIX))
    .map(([name, global]) => [name, (global as WebAssembly.Global).value] as const);
  // The payload of a NaN does not survive a way through JavaScript.
  if (globals.some(([, value]) => Number.isNaN(value))) return undefined;
  return { memory: bytes, globals };
}

/** False when the instance outgrew the state: memory cannot shrink. */
function restore({ exports }: MeteredInstance, { memory, globals }: InstanceState): boolean {
  const held = exports['memory'];
  if (held instanceof WebAssembly.Memory) {
    if (held.buffer.byteLength !== memory.length) return false;
    new Uint8Array(held.buffer).set(memory);
  }
  for (const [name, value] of globals) (exports[name] as WebAssembly.Global).value = value;
  return true;
}

/** One call: an instance, its operations and its result buffer. */
class WasmFrame {
  readonly instance: MeteredInstance;
  #operations: FrameOperations | undefined;
  #host: ContractHost | undefined;
  #args: Bytes = new Uint8Array();
  #result: Bytes = new Uint8Array();

  constructor(module: WebAssembly.Module) {
    this.instance = new MeteredInstance(module, { seele: this.#imports() });
  }

  /** Names the call that runs next. */
  bind(host: ContractHost, args: Bytes): void {
    this.#host = host;
    this.#args = args;
    this.#result = new Uint8Array();
    this.#operations = new FrameOperations(host, this.instance);
  }

  get returned(): Bytes | undefined {
    return this.#operations?.returned;
  }

  get #running(): FrameOperations {
    if (this.#operations) return this.#operations;
    throw new GuestAbort('a contract cannot reach the chain while it loads');
  }

  #slice(at: number, length: number): Bytes {
    const memory = new Uint8Array(this.instance.memory.buffer);
    const [start, size] = [at >>> 0, length >>> 0];
    if (start + size > memory.length) throw new GuestAbort('pointer outside the guest memory');
    this.instance.charge(size);
    return memory.slice(start, start + size);
  }

  #text(at: number, length: number): string {
    try {
      return utf8Decode(this.#slice(at, length));
    } catch (cause) {
      if (cause instanceof GuestAbort) throw cause;
      throw new GuestAbort('malformed text from the guest');
    }
  }

  #answer(bytes: Bytes): number {
    this.instance.charge(bytes.length);
    this.#result = bytes;
    return bytes.length;
  }

  #read(to: number): void {
    const memory = new Uint8Array(this.instance.memory.buffer);
    const start = to >>> 0;
    if (start + this.#result.length > memory.length)
      throw new GuestAbort('pointer outside the guest memory');
    memory.set(this.#result, start);
  }

  #frameField(field: number): number {
    const frame = this.#host?.frame;
    if (!frame) throw new GuestAbort('a contract cannot reach the chain while it loads');
    const hashes = [frame.caller, frame.origin, frame.self, frame.chain, frame.seed];
    const numbers = [frame.value, BigInt(frame.height), BigInt(frame.timeUs)];
    const hash = hashes[field];
    if (hash !== undefined) return this.#answer(hexToBytes(hash) ?? new Uint8Array());
    const number = numbers[field - hashes.length];
    if (number === undefined) throw new GuestAbort(`no frame field ${field}`);
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, number, true);
    return this.#answer(bytes);
  }

  #scan(prefix: Bytes, cursor: Bytes, limit: number): number {
    const found = this.#running.scan(prefix, cursor.length > 0 ? cursor : undefined, limit);
    return this.#answer(encodeCbor(found.map(([key, value]) => [key, value])));
  }

  #call(at: number, length: number): number {
    const request = canonical(this.#slice(at, length));
    if (!Array.isArray(request) || request.length !== 5) throw new GuestAbort('malformed call');
    const [contract, method, args, value, fuel] = request as readonly CborValue[];
    if (typeof contract !== 'string' || typeof method !== 'string')
      throw new GuestAbort('malformed call');
    if (!(args instanceof Uint8Array)) throw new GuestAbort('malformed call');
    canonical(args);
    const reply = this.#running.call({
      contract,
      method,
      args,
      value: unsigned(value),
      fuel: unsigned(fuel),
    });
    if (reply.kind === 'returned') return this.#answer(reply.data);
    return -this.#answer(encodeCbor([reply.code, reply.message]));
  }

  #imports(): Record<string, (...args: never[]) => unknown> {
    const bytes = (at: number, length: number) => this.#slice(at, length);
    return {
      input: () => this.#answer(this.#args),
      read: (to: number) => this.#read(to),
      frame: (field: number) => this.#frameField(field),
      get: (key: number, n: number) => {
        const value = this.#running.get(bytes(key, n));
        return value === undefined ? -1 : this.#answer(value);
      },
      put: (key: number, n: number, value: number, m: number) =>
        this.#running.put(bytes(key, n), bytes(value, m)),
      remove: (key: number, n: number) => this.#running.delete(bytes(key, n)),
      scan: (prefix: number, n: number, cursor: number, m: number, limit: number) =>
        this.#scan(bytes(prefix, n), bytes(cursor, m), limit),
      emit: (topic: number, n: number, data: number, m: number) =>
        this.#running.emit(this.#text(topic, n), bytes(data, m)),
      output: (data: number, n: number) => {
        const result = bytes(data, n);
        canonical(result);
        this.#running.finish(result);
      },
      revert: (code: number, n: number, message: number, m: number) =>
        this.#running.revert(this.#text(code, n), this.#text(message, m)),
      sha256: (data: number, n: number) => this.#answer(this.#running.sha256(bytes(data, n))),
      verify: (
        ...[key, domain, n, message, m, signature, k]: [
          number,
          number,
          number,
          number,
          number,
          number,
          number,
        ]
      ) =>
        this.#running.verify(
          bytesToHex(bytes(key, 33)),
          this.#text(domain, n),
          bytes(message, m),
          bytes(signature, k),
        )
          ? 1
          : 0,
      call: (request: number, n: number) => this.#call(request, n),
    };
  }
}

function unsigned(value: CborValue | undefined): bigint {
  const integer = typeof value === 'bigint' || Number.isSafeInteger(value);
  const amount = integer ? BigInt(value as bigint | number) : -1n;
  if (amount < 0n)
    throw new ContractRevert('VM_CALL_AMOUNT', 'value and fuel of a call must not be negative');
  return amount;
}

/** Guest bytes that claim to be canonical CBOR. */
function canonical(bytes: Bytes): CborValue {
  try {
    return decodeCbor(bytes, { maxBytes: CONTRACT_LIMITS.valueBytesMax });
  } catch {
    throw new GuestAbort('guest data that is not canonical CBOR');
  }
}

function frameOutcome(outcome: CallOutcome, frame: WasmFrame, fuel: bigint): ContractOutcome {
  const left = frame.instance.fuel;
  const fuelUsed = left < 0n ? fuel : fuel - left;
  if (outcome.kind === 'returned')
    return { kind: 'returned', data: frame.returned ?? encodeCbor(null), fuelUsed };
  if (outcome.kind === 'trapped')
    return { kind: 'trapped', cause: outcome.cause, message: outcome.detail, fuelUsed: fuel };
  const { reason } = outcome;
  if (reason instanceof ContractRevert)
    return { kind: 'reverted', code: reason.code, message: reason.message, fuelUsed };
  return { kind: 'trapped', cause: 'guest-trap', message: reason.message, fuelUsed: fuel };
}
