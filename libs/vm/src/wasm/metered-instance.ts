/**
 * Runs an injected module and says how each call ended, from the instruments' facts alone. A failure
 * of the host itself (its stack or memory ran out) is never a result: it is thrown, so that the
 * caller can discard and run again.
 */
import { vmError } from '../errors.ts';
import {
  CHARGE_EXPORT,
  FUEL_EXPORT,
  GLOBAL_EXPORT_PREFIX,
  HOOK_EXPORT,
  STACK_EXPORT,
  START_EXPORT,
} from './inject.ts';

/** Why a call was cut short. */
export type TrapCause = 'out-of-fuel' | 'stack-overflow' | 'guest-trap';

export type CallOutcome =
  | { readonly kind: 'returned'; readonly value: number | bigint | undefined }
  | { readonly kind: 'trapped'; readonly cause: TrapCause; readonly detail: string }
  | { readonly kind: 'aborted'; readonly reason: GuestAbort };

/** Thrown by a host function to end the guest's call on purpose; no guest code can catch it. */
export class GuestAbort extends Error {
  override readonly name: string = 'GuestAbort';
}

/** Fuel ran out while the host worked for the guest. */
class OutOfFuel extends GuestAbort {
  override readonly name = 'OutOfFuel';
}

/** Default share of the counted stack; the host runs guests on a real stack four times this. */
export const STACK_BYTES_DEFAULT = 8 * 1024 * 1024;

export type HostImports = Record<string, Record<string, (...args: never[]) => unknown>>;

/** `(module (import "h" "f" (func)) (export "f" (func 0)))`: makes a JavaScript function a funcref. */
const HOOK_MODULE = Uint8Array.of(
  ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x04, 0x01, 0x60, 0x00, 0x00],
  ...[0x02, 0x07, 0x01, 0x01, 0x68, 0x01, 0x66, 0x00, 0x00],
  ...[0x07, 0x05, 0x01, 0x01, 0x66, 0x00, 0x00],
);

export class MeteredInstance {
  readonly exports: Record<string, WebAssembly.Exported>;
  readonly #fuel: WebAssembly.Global<bigint>;
  readonly #stack: WebAssembly.Global<number>;
  readonly #charge: WebAssembly.ExportedFunction;
  #hook: (() => void) | undefined;

  constructor(module: WebAssembly.Module, imports: HostImports) {
    try {
      this.exports = new WebAssembly.Instance(module, imports).exports;
    } catch (cause) {
      if (cause instanceof WebAssembly.LinkError)
        throw vmError(
          'VM_MODULE_UNSUPPORTED',
          `the module asks for what no host gives: ${cause.message}`,
        );
      if (cause instanceof WebAssembly.RuntimeError)
        throw vmError('VM_MODULE_MALFORMED', `the module cannot be loaded: ${cause.message}`);
      throw hostFault(cause);
    }
    this.#fuel = this.#global<bigint>(FUEL_EXPORT);
    this.#stack = this.#global<number>(STACK_EXPORT);
    this.#charge = this.#function(CHARGE_EXPORT);
  }

  #global<T>(name: string): WebAssembly.Global<T> {
    const found = this.exports[name];
    if (found instanceof WebAssembly.Global) return found as unknown as WebAssembly.Global<T>;
    throw vmError('VM_MODULE_MALFORMED', `the module was not injected: no export ${name}`);
  }

  get memory(): WebAssembly.Memory {
    const { memory } = this.exports;
    if (memory instanceof WebAssembly.Memory) return memory;
    throw vmError('VM_MODULE_UNSUPPORTED', 'the module exports no memory named "memory"');
  }

  /** Values of the exported mutable globals in module order, floats as their bits. */
  globals(): bigint[] {
    const values: bigint[] = [];
    for (const [name, global] of Object.entries(this.exports))
      if (name.startsWith(GLOBAL_EXPORT_PREFIX))
        values.push(globalBits((global as WebAssembly.Global).value));
    return values;
  }

  /** Fuel left; negative after an out-of-fuel trap. */
  get fuel(): bigint {
    return this.#fuel.value;
  }

  set fuel(value: bigint) {
    this.#fuel.value = value;
  }

  /**
   * Installs what happens when fuel runs out: `hook` sets more fuel and returns, or throws a
   * `GuestAbort`. It may read the guest's memory, so it is where checkpoints are taken.
   */
  set fuelHook(hook: () => void) {
    const wrapper = new WebAssembly.Instance(new WebAssembly.Module(HOOK_MODULE), {
      h: { f: hook },
    });
    this.#hook = hook;
    const table = this.exports[HOOK_EXPORT] as WebAssembly.Table;
    table.set(0, wrapper.exports['f']);
  }

  /**
   * Charges the guest for work the host does on its behalf.
   *
   * @param cost a number must be a whole one below 2^31
   * @throws what ends the guest when the fuel does not suffice and no hook gives more
   */
  charge(cost: bigint | number): void {
    if (typeof cost === 'number') {
      // Ends the guest by a trap when the fuel does not suffice.
      this.#charge(cost, 1);
      return;
    }
    this.#fuel.value -= cost;
    if (this.#fuel.value < 0n) this.#hook?.();
    if (this.#fuel.value < 0n) throw new OutOfFuel('out of fuel');
  }

  /** Charges while the guest does not run; says how that ended it, if it did. */
  chargeOrEnd(cost: bigint): Exclude<CallOutcome, { kind: 'returned' }> | undefined {
    try {
      this.charge(cost);
      return undefined;
    } catch (cause) {
      return this.#ended(cause);
    }
  }

  /** Runs the module's start function, if it has one. */
  start(stackBytes: number = STACK_BYTES_DEFAULT): CallOutcome {
    if (!(START_EXPORT in this.exports)) return { kind: 'returned', value: undefined };
    return this.call(START_EXPORT, [], stackBytes);
  }

  call(
    name: string,
    args: readonly (number | bigint)[],
    stackBytes: number = STACK_BYTES_DEFAULT,
  ): CallOutcome {
    const target = this.#function(name);
    this.#stack.value = stackBytes;
    try {
      return { kind: 'returned', value: target(...args) };
    } catch (cause) {
      return this.#ended(cause);
    }
  }

  /**
   * Calls an export from inside a host function, on the stack and fuel of the running call. Traps
   * and aborts pass through to that call.
   */
  reenter(name: string, ...args: (number | bigint)[]): number {
    return this.#function(name)(...args) as number;
  }

  #function(name: string): WebAssembly.ExportedFunction {
    const target = this.exports[name];
    if (isFunction(target)) return target;
    throw vmError(
      'VM_MODULE_UNSUPPORTED',
      `the module exports no function ${JSON.stringify(name)}`,
    );
  }

  #ended(cause: unknown): Exclude<CallOutcome, { kind: 'returned' }> {
    if (cause instanceof GuestAbort && !(cause instanceof OutOfFuel))
      return { kind: 'aborted', reason: cause };
    if (this.#fuel.value < 0n)
      return { kind: 'trapped', cause: 'out-of-fuel', detail: 'out of fuel' };
    if (!(cause instanceof WebAssembly.RuntimeError)) throw hostFault(cause);
    if (this.#stack.value < 0)
      return { kind: 'trapped', cause: 'stack-overflow', detail: 'calls nested too deep' };
    return { kind: 'trapped', cause: 'guest-trap', detail: cause.message };
  }
}

function globalBits(value: number | bigint): bigint {
  if (typeof value === 'bigint') return value;
  if (Number.isInteger(value)) return BigInt(value);
  return new BigInt64Array(new Float64Array([value]).buffer)[0] as bigint;
}

function isFunction(
  value: WebAssembly.Exported | undefined,
): value is WebAssembly.ExportedFunction {
  return typeof value === 'function';
}

function hostFault(cause: unknown): Error {
  const message = cause instanceof Error ? cause.message : String(cause);
  return vmError('VM_HOST_FAULT', `the host failed while running a guest: ${message}`, { cause });
}
