/**
 * Values on the border between a JavaScript guest and its host. Reading takes primitives of a
 * declared kind only, so no guest code runs; building makes plain data inside the guest. Both run on
 * the guest's fuel.
 */
import { type Bytes, type CborMap, type CborValue, utf8, utf8Decode } from '#libs/kernel';
import { GuestAbort, type MeteredInstance } from '../wasm/metered-instance.ts';

const MIN_I64 = -(1n << 63n);
const MAX_I64 = (1n << 63n) - 1n;
const LOW_32 = 0xffffffffn;
/** Configurable, writable, enumerable. */
const PROPERTY_PLAIN = 7;
/** Room for out-parameters. */
export const SCRATCH_BYTES = 16;
/** Largest single message between guest and host. */
export const JS_MESSAGE_MAX_BYTES = 4 * 1024 * 1024;

/** What a guest hands over: primitives only, of the kinds the operation declares. */
export type JsArgument = string | bigint | number | Bytes | CborValue;

/** What a host answers: plain data, which is built inside the guest. Integers become bigints. */
export type JsReply = CborValue | undefined;

export class GuestValues {
  /** A few bytes of guest memory for out-parameters. */
  scratch = 0;
  readonly #wasm: () => MeteredInstance;

  /** `wasm` gives the instance that runs now; it changes when a guest outgrew its image. */
  constructor(wasm: () => MeteredInstance) {
    this.#wasm = wasm;
  }

  /** Reads one argument of the declared kind. @throws GuestAbort when it is of another */
  read(kind: string | undefined, value: number): JsArgument {
    if (kind === 'b') return this.#readBytes(value);
    if (kind === 'n') return this.#wasm().reenter('qjs_get_float64', value);
    if (kind === 's') {
      this.#expect('qjs_is_string', value);
      return this.#readText(value);
    }
    this.#expect('qjs_is_big_int', value);
    // Through text: the engine's own 64-bit getter wraps silently.
    const integer = BigInt(this.#readText(value));
    if (integer < MIN_I64 || integer > MAX_I64)
      throw new GuestAbort('an integer for the host is wider than 64 bits');
    return integer;
  }

  #expect(test: string, value: number): void {
    if (this.#wasm().reenter(test, value) === 0)
      throw new GuestAbort('host argument of a wrong kind');
  }

  /** Text of a string or bigint primitive; converting those runs no guest code. */
  #readText(value: number): string {
    const wasm = this.#wasm();
    const length = this.scratch;
    const at = wasm.reenter('qjs_get_string_len', value, length);
    if (at === 0) throw new GuestAbort('guest memory exhausted');
    const size = new DataView(wasm.memory.buffer).getUint32(length, true);
    this.#chargeMessage(size);
    const bytes = new Uint8Array(wasm.memory.buffer, at, size).slice();
    wasm.reenter('qjs_free_cstring', at);
    try {
      return utf8Decode(bytes);
    } catch {
      throw new GuestAbort('text with a lone surrogate');
    }
  }

  #readBytes(value: number): Bytes {
    const wasm = this.#wasm();
    const at = this.scratch;
    const buffer = wasm.reenter('qjs_get_typed_array_buffer', value, at, at + 4, at + 8);
    if (wasm.reenter('qjs_is_exception', buffer) !== 0)
      throw new GuestAbort('host argument is not bytes');
    const data = wasm.reenter('qjs_get_array_buffer', buffer, at + 12);
    const view = new DataView(wasm.memory.buffer);
    const offset = view.getUint32(at, true);
    const length = view.getUint32(at + 4, true);
    wasm.reenter('qjs_free_value', buffer);
    this.#chargeMessage(length);
    return new Uint8Array(wasm.memory.buffer, data + offset, length).slice();
  }

  #chargeMessage(sizeBytes: number): void {
    if (sizeBytes > JS_MESSAGE_MAX_BYTES) throw new GuestAbort('host argument over its limit');
    this.#wasm().charge(BigInt(sizeBytes));
  }

  /** Builds plain data inside the guest and returns its handle. */
  build(value: JsReply): number {
    const wasm = this.#wasm();
    if (value === undefined) return wasm.reenter('qjs_get_undefined');
    if (value === null) return wasm.reenter('qjs_get_null');
    if (value === true) return wasm.reenter('qjs_get_true');
    if (value === false) return wasm.reenter('qjs_get_false');
    if (typeof value === 'string') {
      const bytes = utf8(value);
      return this.#fromBytes('qjs_new_string', bytes);
    }
    if (value instanceof Uint8Array) return this.#fromBytes('qjs_new_uint8_array', value);
    if (typeof value === 'bigint' || Number.isInteger(value)) {
      const integer = BigInt(value as bigint | number);
      if (integer < MIN_I64 || integer > MAX_I64)
        throw new GuestAbort('an integer for the guest is wider than 64 bits');
      const [low, high] = [integer & LOW_32, (integer >> 32n) & LOW_32];
      return wasm.reenter('qjs_new_big_int64', Number(low), Number(high));
    }
    if (typeof value === 'number') return wasm.reenter('qjs_new_number', value);
    return Array.isArray(value) ? this.#buildList(value) : this.#buildMap(value as CborMap);
  }

  #fromBytes(constructor: string, bytes: Bytes): number {
    const wasm = this.#wasm();
    this.#chargeMessage(bytes.length);
    const at = wasm.reenter('wasm_malloc', bytes.length + 1);
    if (at === 0) throw new GuestAbort('guest memory exhausted');
    new Uint8Array(wasm.memory.buffer).set(bytes, at);
    const value = wasm.reenter(constructor, at, bytes.length);
    wasm.reenter('wasm_free', at);
    return value;
  }

  #buildList(items: readonly CborValue[]): number {
    const wasm = this.#wasm();
    const list = wasm.reenter('qjs_new_array');
    for (const [i, item] of items.entries()) {
      const value = this.build(item);
      wasm.reenter('qjs_set_prop_uint32', list, i, value);
      wasm.reenter('qjs_free_value', value);
    }
    return list;
  }

  #buildMap(map: CborMap): number {
    const wasm = this.#wasm();
    const object = wasm.reenter('qjs_new_object');
    for (const [key, item] of Object.entries(map)) {
      const value = this.build(item);
      const name = this.build(key);
      // Defined, not set: a key like __proto__ stays plain data.
      wasm.reenter('qjs_define_prop_value', object, name, value, PROPERTY_PLAIN);
      wasm.reenter('qjs_free_value', name);
      wasm.reenter('qjs_free_value', value);
    }
    return object;
  }
}
