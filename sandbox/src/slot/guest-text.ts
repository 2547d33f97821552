/**
 * Text and bytes inside an isolate. Like everything shipped there as source text, `guestText` stands
 * alone and keeps its own copies of the built-ins it uses.
 */

export function guestText() {
  const NativeUint8Array = Uint8Array;
  const NativeTypeError = TypeError;
  const NativeRangeError = RangeError;
  const NativeString = String;
  const { isView } = ArrayBuffer;
  const { fromCharCode } = NativeString;
  const { create, freeze, getOwnPropertyDescriptor, getPrototypeOf } = Object;
  const { apply } = Reflect;
  const unbound =
    <T, A extends unknown[], R>(method: (this: T, ...args: A) => R) =>
    (self: T, ...args: A): R =>
      apply(method, self, args);
  const charCodeAt = unbound(NativeString.prototype.charCodeAt);
  const typedSet = unbound(NativeUint8Array.prototype.set);
  const subarray = unbound(NativeUint8Array.prototype.subarray);
  const typedPrototype = getPrototypeOf(NativeUint8Array.prototype) as object;
  const getter = (prototype: object, name: string) =>
    unbound((getOwnPropertyDescriptor(prototype, name) as { get: () => unknown }).get);
  const viewBuffer = getter(typedPrototype, 'buffer') as (v: unknown) => ArrayBuffer;
  const viewOffset = getter(typedPrototype, 'byteOffset') as (v: unknown) => number;
  const viewLength = getter(typedPrototype, 'byteLength') as (v: unknown) => number;
  const dataBuffer = getter(DataView.prototype, 'buffer') as (v: unknown) => ArrayBuffer;
  const dataOffset = getter(DataView.prototype, 'byteOffset') as (v: unknown) => number;
  const dataLength = getter(DataView.prototype, 'byteLength') as (v: unknown) => number;
  const bufferLength = getter(ArrayBuffer.prototype, 'byteLength') as (v: unknown) => number;

  /** A fresh copy of exactly the viewed bytes; `undefined` when `value` holds no bytes. */
  function copyBytes(value: unknown): Uint8Array<ArrayBuffer> | undefined {
    try {
      if (isView(value)) {
        let buffer: ArrayBuffer;
        let offset: number;
        let length: number;
        try {
          buffer = viewBuffer(value);
          offset = viewOffset(value);
          length = viewLength(value);
        } catch {
          buffer = dataBuffer(value);
          offset = dataOffset(value);
          length = dataLength(value);
        }
        const copy = new NativeUint8Array(length);
        typedSet(copy, new NativeUint8Array(buffer, offset, length), 0);
        return copy;
      }
      const length = bufferLength(value);
      const copy = new NativeUint8Array(length);
      typedSet(copy, new NativeUint8Array(value as ArrayBuffer), 0);
      return copy;
    } catch {
      return undefined;
    }
  }

  function encodeText(text: string): Uint8Array<ArrayBuffer> {
    const out = new NativeUint8Array(text.length * 3);
    let at = 0;
    for (let i = 0; i < text.length; i++) {
      let code = charCodeAt(text, i);
      if (code >= 0xd800 && code <= 0xdfff) {
        const next = code < 0xdc00 && i + 1 < text.length ? charCodeAt(text, i + 1) : 0;
        if (next >= 0xdc00 && next <= 0xdfff) {
          code = ((code - 0xd800) << 10) + (next - 0xdc00) + 0x10000;
          i++;
        } else code = 0xfffd;
      }
      if (code < 0x80) out[at++] = code;
      else if (code < 0x800) {
        out[at++] = 0xc0 | (code >> 6);
        out[at++] = 0x80 | (code & 63);
      } else if (code < 0x10000) {
        out[at++] = 0xe0 | (code >> 12);
        out[at++] = 0x80 | ((code >> 6) & 63);
        out[at++] = 0x80 | (code & 63);
      } else {
        out[at++] = 0xf0 | (code >> 18);
        out[at++] = 0x80 | ((code >> 12) & 63);
        out[at++] = 0x80 | ((code >> 6) & 63);
        out[at++] = 0x80 | (code & 63);
      }
    }
    const exact = new NativeUint8Array(at);
    typedSet(exact, subarray(out, 0, at), 0);
    return exact;
  }

  /** WHATWG Encoding, UTF-8 decoder; only UTF-8, as every input and output of a job is. */
  class Utf8Decoder {
    readonly encoding = 'utf-8';
    readonly fatal: boolean;
    readonly ignoreBOM: boolean;
    #needed = 0;
    #seen = 0;
    #point = 0;
    #lower = 0x80;
    #upper = 0xbf;
    #started = false;

    constructor(label = 'utf-8', options: { fatal?: boolean; ignoreBOM?: boolean } = {}) {
      if (label !== 'utf-8' && label !== 'utf8' && label !== 'UTF-8')
        throw new NativeRangeError('only utf-8 is available in a job');
      this.fatal = options.fatal === true;
      this.ignoreBOM = options.ignoreBOM === true;
    }

    decode(input?: unknown, options: { stream?: boolean } = {}): string {
      const bytes = input === undefined ? new NativeUint8Array(0) : copyBytes(input);
      if (bytes === undefined) throw new NativeTypeError('decode: expected bytes');
      const units: number[] = [];
      let out = '';
      const emit = (point: number) => {
        if (!this.#started) {
          this.#started = true;
          if (point === 0xfeff && !this.ignoreBOM) return;
        }
        if (point > 0xffff) {
          units[units.length] = 0xd800 + ((point - 0x10000) >> 10);
          units[units.length] = 0xdc00 + ((point - 0x10000) & 0x3ff);
        } else units[units.length] = point;
        if (units.length >= 8192) {
          out += apply(fromCharCode, undefined, units);
          units.length = 0;
        }
      };
      const bad = () => {
        this.#reset();
        if (this.fatal) throw new NativeTypeError('the bytes are not valid utf-8');
        emit(0xfffd);
      };
      for (let i = 0; i < bytes.length; i++) {
        const byte = bytes[i] as number;
        if (this.#needed === 0) {
          if (byte < 0x80) emit(byte);
          else if (!this.#lead(byte)) bad();
        } else if (byte < this.#lower || byte > this.#upper) {
          bad();
          i--;
        } else {
          this.#lower = 0x80;
          this.#upper = 0xbf;
          this.#point = (this.#point << 6) | (byte & 63);
          if (++this.#seen === this.#needed) {
            const point = this.#point;
            this.#reset();
            emit(point);
          }
        }
      }
      if (options.stream !== true) {
        if (this.#needed !== 0) bad();
        this.#started = false;
      }
      return out + apply(fromCharCode, undefined, units);
    }

    #lead(byte: number): boolean {
      if (byte >= 0xc2 && byte <= 0xdf) {
        this.#needed = 1;
        this.#point = byte & 31;
      } else if (byte >= 0xe0 && byte <= 0xef) {
        if (byte === 0xe0) this.#lower = 0xa0;
        if (byte === 0xed) this.#upper = 0x9f;
        this.#needed = 2;
        this.#point = byte & 15;
      } else if (byte >= 0xf0 && byte <= 0xf4) {
        if (byte === 0xf0) this.#lower = 0x90;
        if (byte === 0xf4) this.#upper = 0x8f;
        this.#needed = 3;
        this.#point = byte & 7;
      } else return false;
      return true;
    }

    #reset() {
      this.#needed = 0;
      this.#seen = 0;
      this.#point = 0;
      this.#lower = 0x80;
      this.#upper = 0xbf;
    }
  }

  class Utf8Encoder {
    readonly encoding = 'utf-8';
    encode(text = ''): Uint8Array<ArrayBuffer> {
      return encodeText(NativeString(text));
    }
  }

  const made = create(null) as {
    copyBytes: typeof copyBytes;
    Utf8Encoder: typeof Utf8Encoder;
    Utf8Decoder: typeof Utf8Decoder;
  };
  made.copyBytes = copyBytes;
  made.Utf8Encoder = Utf8Encoder;
  made.Utf8Decoder = Utf8Decoder;
  return freeze(made);
}

export type GuestText = ReturnType<typeof guestText>;
