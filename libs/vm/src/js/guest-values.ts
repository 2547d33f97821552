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

/** Exports of the engine that values cross the border by. */
interface Crossing {
  readonly getFloat64: Call;
  readonly isString: Call;
  readonly isBigInt: Call;
  readonly isException: Call;
  readonly getStringLength: Call;
  readonly freeString: Call;
  readonly freeValue: Call;
  readonly getTypedArrayBuffer: Call;
  readonly getArrayBuffer: Call;
  readonly getUndefined: Call;
  readonly getNull: Call;
  readonly getTrue: Call;
  readonly getFalse: Call;
  readonly newString: Call;
  readonly newBytes: Call;
  readonly newBigInt: Call;
  readonly newNumber: Call;
  readonly newArray: Call;
  readonly newObject: Call;
  readonly setElement: Call;
  readonly defineProperty: Call;
  readonly allocate: Call;
  readonly free: Call;
}

type Call = (...args: number[]) => number;

function crossingOf(wasm: MeteredInstance): Crossing {
  const call = (name: string): Call => wasm.exports[name] as Call;
  return {
    getFloat64: call('qjs_get_float64'),
    isString: call('qjs_is_string'),
    isBigInt: call('qjs_is_big_int'),
    isException: call('qjs_is_exception'),
    getStringLength: call('qjs_get_string_len'),
    freeString: call('qjs_free_cstring'),
    freeValue: call('qjs_free_value'),
    getTypedArrayBuffer: call('qjs_get_typed_array_buffer'),
    getArrayBuffer: call('qjs_get_array_buffer'),
    getUndefined: call('qjs_get_undefined'),
    getNull: call('qjs_get_null'),
    getTrue: call('qjs_get_true'),
    getFalse: call('qjs_get_false'),
    newString: call('qjs_new_string'),
    newBytes: call('qjs_new_uint8_array'),
    newBigInt: call('qjs_new_big_int64'),
    newNumber: call('qjs_new_number'),
    newArray: call('qjs_new_array'),
    newObject: call('qjs_new_object'),
    setElement: call('qjs_set_prop_uint32'),
    defineProperty: call('qjs_define_prop_value'),
    allocate: call('wasm_malloc'),
    free: call('wasm_free'),
  };
}

/** Characters that a loop moves faster than the coders do. */
const SHORT_TEXT = 160;
const SMALL_DIGITS = 15;

export class GuestValues {
  /** A few bytes of guest memory for out-parameters. */
  scratch = 0;
  #wasm!: MeteredInstance;
  #memory!: WebAssembly.Memory;
  #call!: Crossing;
  #bytes = new Uint8Array();
  #view = new DataView(this.#bytes.buffer);

  /** Names the instance that runs from now on; it changes when a guest outgrew its image. */
  attach(wasm: MeteredInstance): void {
    this.#wasm = wasm;
    this.#memory = wasm.memory;
    this.#call = crossingOf(wasm);
    this.#look();
  }

  /** The guest's memory as it is now. */
  get memory(): Bytes {
    // A memory that grew detaches its old buffer: the view on it is then empty.
    if (this.#bytes.length === 0) this.#look();
    return this.#bytes;
  }

  #look(): void {
    const { buffer } = this.#memory;
    this.#bytes = new Uint8Array(buffer);
    this.#view = new DataView(buffer);
  }

  /** The 32-bit word at an address. */
  word(at: number): number {
    if (this.#bytes.length === 0) this.#look();
    return this.#view.getUint32(at, true);
  }

  number(value: number): number {
    return this.#call.getFloat64(value);
  }

  /** Reads one argument of the declared kind. @throws GuestAbort when it is of another */
  read(kind: string | undefined, value: number): JsArgument {
    switch (kind) {
      case 'b':
        return this.#readBytes(value);
      case 'n':
        return this.#call.getFloat64(value);
      case 's':
        this.#expect(this.#call.isString(value));
        return this.#readText(value);
      case 'u':
        this.#expect(this.#call.isString(value));
        return this.#readTextBytes(value);
      default:
        this.#expect(this.#call.isBigInt(value));
        return this.#readInteger(value);
    }
  }

  /**
   * Through text: the engine's own 64-bit getter wraps silently. What is small enough comes as a
   * number, which costs less than a bigint.
   */
  #readInteger(value: number): bigint | number {
    const at = this.#call.getStringLength(value, this.scratch);
    if (at === 0) throw new GuestAbort('guest memory exhausted');
    const size = this.word(this.scratch);
    this.#chargeMessage(size);
    const small = this.#smallInteger(at, size);
    const integer = small ?? BigInt(this.#longText(at, size));
    this.#call.freeString(at);
    if (typeof integer === 'bigint' && (integer < MIN_I64 || integer > MAX_I64))
      throw new GuestAbort('an integer for the host is wider than 64 bits');
    return integer;
  }

  /** Up to fifteen decimal digits, exactly. */
  #smallInteger(at: number, size: number): number | undefined {
    if (size > SMALL_DIGITS) return undefined;
    const { memory } = this;
    let integer = 0;
    for (let i = at; i < at + size; i++) {
      const digit = (memory[i] as number) - 48;
      if (digit < 0 || digit > 9) return undefined;
      integer = integer * 10 + digit;
    }
    return integer;
  }

  #expect(answer: number): void {
    if (answer === 0) throw new GuestAbort('host argument of a wrong kind');
  }

  /** Text of a string or bigint primitive; converting those runs no guest code. */
  #readText(value: number): string {
    const at = this.#call.getStringLength(value, this.scratch);
    if (at === 0) throw new GuestAbort('guest memory exhausted');
    const size = this.word(this.scratch);
    this.#chargeMessage(size);
    const text = this.#shortText(at, size) ?? this.#longText(at, size);
    this.#call.freeString(at);
    return text;
  }

  #shortText(at: number, size: number): string | undefined {
    if (size > SHORT_TEXT || !this.#isAscii(at, size)) return undefined;
    return String.fromCharCode.apply(
      null,
      this.memory.subarray(at, at + size) as unknown as number[],
    );
  }

  #longText(at: number, size: number): string {
    try {
      return utf8Decode(this.memory.slice(at, at + size));
    } catch {
      throw new GuestAbort('text with a lone surrogate');
    }
  }

  #isAscii(at: number, size: number): boolean {
    const { memory } = this;
    for (let i = at; i < at + size; i++) if ((memory[i] as number) >= 0x80) return false;
    return true;
  }

  /** The same as UTF-8, for keys: they are bytes on the other side. */
  #readTextBytes(value: number): Bytes {
    const at = this.#call.getStringLength(value, this.scratch);
    if (at === 0) throw new GuestAbort('guest memory exhausted');
    const size = this.word(this.scratch);
    this.#chargeMessage(size);
    const bytes = this.#shortBytes(at, size);
    this.#call.freeString(at);
    return bytes;
  }

  /** Copies text and checks it in one pass; `slice` alone costs more than that for a key. */
  #shortBytes(at: number, size: number): Bytes {
    const { memory } = this;
    if (size > SHORT_TEXT) {
      if (!this.#isAscii(at, size)) this.#longText(at, size);
      return memory.slice(at, at + size);
    }
    const bytes = new Uint8Array(size);
    let all = 0;
    for (let i = 0; i < size; i++) all |= bytes[i] = memory[at + i] as number;
    if (all >= 0x80) this.#longText(at, size);
    return bytes;
  }

  #readBytes(value: number): Bytes {
    const at = this.scratch;
    const buffer = this.#call.getTypedArrayBuffer(value, at, at + 4, at + 8);
    if (this.#call.isException(buffer) !== 0) throw new GuestAbort('host argument is not bytes');
    const data = this.#call.getArrayBuffer(buffer, at + 12);
    const offset = this.word(at);
    const length = this.word(at + 4);
    this.#call.freeValue(buffer);
    this.#chargeMessage(length);
    return this.memory.slice(data + offset, data + offset + length);
  }

  #chargeMessage(sizeBytes: number): void {
    if (sizeBytes > JS_MESSAGE_MAX_BYTES) throw new GuestAbort('host argument over its limit');
    this.#wasm.charge(sizeBytes);
  }

  /** Builds plain data inside the guest and returns its handle. */
  build(value: JsReply): number {
    const call = this.#call;
    if (value === undefined) return call.getUndefined();
    if (value === null) return call.getNull();
    if (value === true) return call.getTrue();
    if (value === false) return call.getFalse();
    if (typeof value === 'string') return this.#buildText(value);
    if (value instanceof Uint8Array) return this.#fromBytes(call.newBytes, value);
    if (typeof value === 'bigint' || Number.isInteger(value)) return this.#buildInteger(value);
    if (typeof value === 'number') return call.newNumber(value);
    return Array.isArray(value) ? this.#buildList(value) : this.#buildMap(value as CborMap);
  }

  #buildInteger(value: CborValue): number {
    if (typeof value === 'number' && value >= 0 && value <= 0x7fffffff)
      return this.#call.newBigInt(value, 0);
    const integer = BigInt(value as bigint | number);
    if (integer < MIN_I64 || integer > MAX_I64)
      throw new GuestAbort('an integer for the guest is wider than 64 bits');
    return this.#call.newBigInt(Number(integer & LOW_32), Number((integer >> 32n) & LOW_32));
  }

  #buildText(text: string): number {
    if (text.length > SHORT_TEXT) return this.#fromBytes(this.#call.newString, utf8(text));
    const at = this.#room(text.length);
    const { memory } = this;
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code >= 0x80) {
        this.#call.free(at);
        return this.#fromBytes(this.#call.newString, utf8(text));
      }
      memory[at + i] = code;
    }
    this.#chargeMessage(text.length);
    const value = this.#call.newString(at, text.length);
    this.#call.free(at);
    return value;
  }

  #room(sizeBytes: number): number {
    const at = this.#call.allocate(sizeBytes + 1);
    if (at === 0) throw new GuestAbort('guest memory exhausted');
    return at;
  }

  #fromBytes(make: Call, bytes: Bytes): number {
    this.#chargeMessage(bytes.length);
    const at = this.#room(bytes.length);
    this.memory.set(bytes, at);
    const value = make(at, bytes.length);
    this.#call.free(at);
    return value;
  }

  #buildList(items: readonly CborValue[]): number {
    const call = this.#call;
    const list = call.newArray();
    for (const [i, item] of items.entries()) {
      const value = this.build(item);
      call.setElement(list, i, value);
      call.freeValue(value);
    }
    return list;
  }

  #buildMap(map: CborMap): number {
    const call = this.#call;
    const object = call.newObject();
    for (const [key, item] of Object.entries(map)) {
      const value = this.build(item);
      const name = this.build(key);
      // Defined, not set: a key like __proto__ stays plain data.
      call.defineProperty(object, name, value, PROPERTY_PLAIN);
      call.freeValue(name);
      call.freeValue(value);
    }
    return object;
  }
}
