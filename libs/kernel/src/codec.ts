/**
 * Typed shapes over canonical CBOR. A codec is the single description of a wire or stored object: it
 * turns a value into CBOR and back, checks type, range and size on both ways, and names the field
 * that is wrong. Hashes and keys are hex text in memory and bytes on the wire.
 *
 * @example
 * const transfer = record({ to: hash32, amount: u64, memo: optional(text(100)) });
 * type Transfer = CodecValue<typeof transfer>;
 * const bytes = encodeWith(transfer, { to, amount: 5n });
 * const back = decodeWith(transfer, bytes);
 */
import { CID } from 'multiformats/cid';
import { type ByteArena, type Bytes, bytesToHex, hexToBytes } from './bytes.ts';
import { CBOR_DEFAULT_MAX_BYTES, type CborLimits, decodeCbor } from './cbor-decode.ts';
import { CborCursor, MISS } from './cbor-cursor.ts';
import {
  CBOR_MAX_DEPTH,
  type CborMap,
  type CborValue,
  type CborWriter,
  encodeCbor,
  writtenBytes,
} from './cbor-encode.ts';
import {
  directBool,
  directBytes,
  directHex,
  directList,
  directNullable,
  directRecord,
  directText,
  directU64,
  directUint,
  directVariant,
} from './direct.ts';
import { kernelError } from './errors.ts';

export interface Codec<T> {
  toCbor(value: T, path: string): CborValue;
  fromCbor(value: CborValue | undefined, path: string): T;
  /** True when a record may leave the field out (`undefined`). */
  readonly optional?: boolean;
  /** The same without the values in between, where a codec can; see `Direct`. */
  readonly direct?: Direct<T> | undefined;
}

/**
 * Straight from and to bytes, several times as fast as by `CborValue`. It may throw for any reason:
 * `decodeWith` and `encodeWith` then go the other way, which decides and names what is wrong. What it
 * accepts and gives must be exactly what the other way accepts and gives.
 */
export interface Direct<T> {
  /** Levels of lists and maps below and with this value. */
  readonly depth: number;
  read(cursor: CborCursor): T;
  write(writer: CborWriter, value: T): void;
}

export type CodecValue<C> = C extends Codec<infer T> ? T : never;

/**
 * Stands for every path while nothing is wrong: naming each field of each record would cost more than
 * reading it. What is refused without a name is looked at once more, with names.
 */
const UNNAMED = '\u0000';

function field(path: string, name: string): string {
  if (path === UNNAMED || path === '') return path === '' ? name : UNNAMED;
  return `${path}.${name}`;
}

const element = (path: string, index: number): string =>
  path === UNNAMED ? UNNAMED : `${path}[${index}]`;

function wrong(path: string, expected: string): Error {
  const where = path === '' ? 'value' : path;
  return kernelError('KERNEL_SHAPE', `${where}: expected ${expected}`, { detail: { path: where } });
}

/** A codec whose in-memory form is its CBOR form, guarded by one predicate. */
function plain<T extends CborValue>(
  expected: string,
  accepts: (value: unknown) => boolean,
  direct?: Direct<T>,
): Codec<T> {
  const check = (value: unknown, path: string): T => {
    if (!accepts(value)) throw wrong(path, expected);
    return value as T;
  };
  return { toCbor: check, fromCbor: check, direct };
}

export const bool: Codec<boolean> = plain(
  'true or false',
  (v) => typeof v === 'boolean',
  directBool,
);

/** Whole number from 0 to `max` (at most 2^53−1) as a JavaScript number. */
export function uint(max: number = Number.MAX_SAFE_INTEGER): Codec<number> {
  return plain(
    `a whole number from 0 to ${max}`,
    (v) => Number.isSafeInteger(v) && (v as number) >= 0 && (v as number) <= max,
    directUint(max),
  );
}

/** Finite number; whole numbers must be safe integers. */
export const float: Codec<number> = plain(
  'a finite number',
  (v) =>
    typeof v === 'number' &&
    Number.isFinite(v) &&
    (!Number.isInteger(v) || Number.isSafeInteger(v)),
);

function integer64(
  min: bigint,
  max: bigint,
  expected: string,
  direct?: Direct<bigint>,
): Codec<bigint> {
  const check = (value: unknown, path: string): bigint => {
    if (typeof value !== 'bigint' || value < min || value > max) throw wrong(path, expected);
    return value;
  };
  return {
    toCbor: check,
    fromCbor: (value, path) =>
      check(Number.isSafeInteger(value) ? BigInt(value as number) : value, path),
    direct,
  };
}

/** Unsigned 64-bit integer as `bigint`: amounts of money, fuel. */
export const u64: Codec<bigint> = integer64(
  0n,
  (1n << 64n) - 1n,
  'an unsigned 64-bit integer',
  directU64,
);

/** Signed 64-bit integer as `bigint`. */
export const i64: Codec<bigint> = integer64(
  -(1n << 63n),
  (1n << 63n) - 1n,
  'a signed 64-bit integer',
);

/** Text of at most `maxLength` UTF-16 code units. */
export function text(maxLength: number): Codec<string> {
  return plain(
    `text of at most ${maxLength} characters`,
    (v) => typeof v === 'string' && v.length <= maxLength && v.isWellFormed(),
    directText((v) => v.length <= maxLength),
  );
}

/** One of a closed set of words. */
export function oneOf<const W extends readonly string[]>(...words: W): Codec<W[number]> {
  const isWord = (value: unknown): boolean => words.includes(value as string);
  return plain(`one of ${words.join(', ')}`, isWord, directText(isWord) as Direct<W[number]>);
}

/** Byte string of at most `maxLength` bytes. */
export function byteString(maxLength: number): Codec<Bytes> {
  return plain(
    `at most ${maxLength} bytes`,
    (v) => v instanceof Uint8Array && v.length <= maxLength,
    directBytes(maxLength),
  );
}

/** Exactly `length` bytes, lower-case hex in memory. */
export function hexBytes(length: number): Codec<string> {
  const expected = `${length} bytes`;
  return {
    toCbor: (value, path) => {
      const bytes = typeof value === 'string' ? hexToBytes(value) : undefined;
      if (bytes?.length !== length) throw wrong(path, `${expected} in lower-case hex`);
      return bytes;
    },
    fromCbor: (value, path) => {
      if (!(value instanceof Uint8Array) || value.length !== length) throw wrong(path, expected);
      return bytesToHex(value);
    },
    direct: directHex(length),
  };
}

/** SHA-256 digest or any 32-byte identifier. */
export const hash32: Codec<string> = hexBytes(32);

/** Content identifier; text in memory, tag 42 on the wire. */
export const cid: Codec<string> = {
  toCbor: (value, path) => {
    try {
      return CID.parse(value);
    } catch {
      throw wrong(path, 'a CID');
    }
  },
  fromCbor: (value, path) => {
    if (!(value instanceof CID)) throw wrong(path, 'a CID');
    return value.toString();
  },
};

export function list<T>(item: Codec<T>, maxLength: number): Codec<readonly T[]> {
  const check = (value: unknown, path: string): readonly unknown[] => {
    if (!Array.isArray(value) || value.length > maxLength)
      throw wrong(path, `a list of at most ${maxLength} items`);
    return value;
  };
  return {
    toCbor: (value, path) =>
      check(value, path).map((v, i) => item.toCbor(v as T, element(path, i))),
    fromCbor: (value, path) =>
      check(value, path).map((v, i) => item.fromCbor(v as CborValue, element(path, i))),
    direct: item.direct && directList(item.direct, maxLength),
  };
}

/** The field may be left out; it is then absent from the encoding, never null. */
export function optional<T>(inner: Codec<T>): Codec<T | undefined> {
  return {
    optional: true,
    toCbor: (value, path) => inner.toCbor(value as T, path),
    fromCbor: (value, path) => (value === undefined ? undefined : inner.fromCbor(value, path)),
    direct: inner.direct as Direct<T | undefined> | undefined,
  };
}

export function nullable<T>(inner: Codec<T>): Codec<T | null> {
  return {
    toCbor: (value, path) => (value === null ? null : inner.toCbor(value, path)),
    fromCbor: (value, path) => (value === null ? null : inner.fromCbor(value, path)),
    direct: inner.direct && directNullable(inner.direct),
  };
}

type Fields = Readonly<Record<string, Codec<never>>>;
type OptionalKeys<F> = {
  [K in keyof F]: undefined extends CodecValue<F[K]> ? K : never;
}[keyof F];
type RecordValue<F> = {
  readonly [K in Exclude<keyof F, OptionalKeys<F>>]: CodecValue<F[K]>;
} & { readonly [K in OptionalKeys<F>]?: CodecValue<F[K]> };

function isMap(value: unknown): value is CborMap {
  if (typeof value !== 'object' || value === null) return false;
  return !(value instanceof Uint8Array) && !(value instanceof CID) && !Array.isArray(value);
}

/** A map with exactly these fields; unknown ones are refused. */
export function record<const F extends Readonly<Record<string, Codec<unknown> | Codec<never>>>>(
  fields: F,
): Codec<RecordValue<F>> {
  const codecs = Object.entries(fields as unknown as Fields) as [string, Codec<unknown>][];
  const names = new Set(codecs.map(([name]) => name));
  return {
    toCbor: (value, path) => {
      if (!isMap(value)) throw wrong(path, 'a record');
      const out: Record<string, CborValue> = {};
      for (const [name, codec] of codecs) {
        const own = (value as Record<string, unknown>)[name];
        if (own === undefined && codec.optional) continue;
        out[name] = codec.toCbor(own, field(path, name));
      }
      return out;
    },
    fromCbor: (value, path) => {
      if (!isMap(value)) throw wrong(path, 'a record');
      for (const name of Object.keys(value))
        if (!names.has(name)) throw wrong(field(path, name), 'no such field');
      const out: Record<string, unknown> = {};
      for (const [name, codec] of codecs) {
        const own = codec.fromCbor(value[name], field(path, name));
        if (own !== undefined) out[name] = own;
      }
      return out as RecordValue<F>;
    },
    direct: directRecord<RecordValue<F>>(codecs),
  };
}

type Variants = Readonly<Record<string, Codec<never> | Codec<unknown>>>;
type VariantValue<V> = {
  [K in keyof V & string]: { readonly kind: K } & CodecValue<V[K]>;
}[keyof V & string];

/** A record tagged by its `kind` field; each kind has fields of its own. */
export function variant<const V extends Variants>(variants: V): Codec<VariantValue<V>> {
  const kinds = Object.keys(variants);
  const codecOf = (kind: unknown, path: string): Codec<unknown> => {
    if (typeof kind !== 'string' || !Object.hasOwn(variants, kind))
      throw wrong(field(path, 'kind'), `one of ${kinds.join(', ')}`);
    return variants[kind] as Codec<unknown>;
  };
  return {
    toCbor: (value, path) => {
      const kind = (value as { kind?: unknown } | null)?.kind;
      const fields = codecOf(kind, path).toCbor(value, path) as CborMap;
      return { ...fields, kind: kind as string };
    },
    fromCbor: (value, path) => {
      if (!isMap(value)) throw wrong(path, 'a record');
      const { kind, ...fields } = value;
      const inner = codecOf(kind, path).fromCbor(fields, path) as object;
      return { kind, ...inner } as VariantValue<V>;
    },
    direct: directVariant<VariantValue<V>>(variants),
  };
}

/** Runs a codec, a second time when it refuses, so that the refusal names what is wrong. */
function named<R>(run: (path: string) => R): R {
  try {
    return run(UNNAMED);
  } catch {
    return run('');
  }
}

/**
 * Canonical bytes of a typed value; cut out of an arena when they live as short as what is beside them.
 * @throws KERNEL_SHAPE when the value does not fit the codec
 */
export function encodeWith<T>(codec: Codec<T>, value: T, arena?: ByteArena): Bytes {
  const { direct } = codec;
  if (direct)
    try {
      return writtenBytes((writer) => direct.write(writer, value), arena);
    } catch {
      // Below it is said what is wrong.
    }
  return encodeCbor(named((path) => codec.toCbor(value, path)));
}

export interface DecodeLimits extends CborLimits {
  /** Byte strings may be views of `bytes`, which nobody changes or uses again. */
  readonly views?: boolean;
}

/** A value read directly; undefined when the other way has to be gone. */
export function decodeDirectly<T>(
  codec: Codec<T>,
  bytes: Bytes,
  limits: DecodeLimits = {},
): T | undefined {
  const { direct } = codec;
  const { maxBytes = CBOR_DEFAULT_MAX_BYTES, maxDepth = CBOR_MAX_DEPTH, views = false } = limits;
  if (!direct || direct.depth > maxDepth || bytes.length > maxBytes) return undefined;
  try {
    const cursor = new CborCursor(bytes, views);
    const value = direct.read(cursor);
    return cursor.at === bytes.length ? value : undefined;
  } catch (error) {
    if (error !== MISS) throw error;
    return undefined;
  }
}

/**
 * Reads a typed value from canonical bytes.
 *
 * @throws KERNEL_CBOR_INVALID, KERNEL_CBOR_LIMIT or KERNEL_SHAPE, naming the offset or the field
 */
export function decodeWith<T>(codec: Codec<T>, bytes: Bytes, limits: DecodeLimits = {}): T {
  const value = decodeDirectly(codec, bytes, limits);
  if (value !== undefined) return value;
  const cbor = decodeCbor(bytes, limits);
  return named((path) => codec.fromCbor(cbor, path));
}
