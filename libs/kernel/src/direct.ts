/** Codecs' direct way between values and bytes: see `Direct` in codec.ts. */
import { CID } from 'multiformats/cid';
import type { Bytes } from './bytes.ts';
import { type CborCursor, MISS } from './cbor-cursor.ts';
import { CborWriter, prepareKeys, writeBigint, writeValue } from './cbor-encode.ts';
import type { Codec, Direct } from './codec.ts';

const TRUE = 0xf5;
const FALSE = 0xf4;
const NULL = 0xf6;

export const directBool: Direct<boolean> = {
  depth: 0,
  read(cursor) {
    if (cursor.takes(TRUE)) return true;
    if (cursor.takes(FALSE)) return false;
    throw MISS;
  },
  write(writer, value) {
    if (typeof value !== 'boolean') throw MISS;
    writer.byte(value ? TRUE : FALSE);
  },
};

export const directUint = (max: number): Direct<number> => ({
  depth: 0,
  read(cursor) {
    const value = cursor.head(0);
    if (value > max) throw MISS;
    return value;
  },
  write(writer, value) {
    if (!Number.isSafeInteger(value) || value < 0 || value > max) throw MISS;
    writer.head(0, value + 0);
  },
});

export const directU64: Direct<bigint> = {
  depth: 0,
  read: (cursor) => cursor.big(),
  write(writer, value) {
    if (typeof value !== 'bigint' || value < 0n) throw MISS;
    writeBigint(writer, value);
  },
};

export const directText = (accepts: (text: string) => boolean): Direct<string> => ({
  depth: 0,
  read(cursor) {
    const text = cursor.text();
    if (!accepts(text)) throw MISS;
    return text;
  },
  write(writer, value) {
    if (typeof value !== 'string' || !accepts(value)) throw MISS;
    writeValue(writer, value, 0);
  },
});

export const directBytes = (maxLength: number): Direct<Bytes> => ({
  depth: 0,
  read: (cursor) => cursor.byteString(maxLength),
  write(writer, value) {
    if (!(value instanceof Uint8Array) || value.length > maxLength) throw MISS;
    writer.head(2, value.length);
    writer.raw(value);
  },
});

export const directHex = (length: number): Direct<string> => ({
  depth: 0,
  read: (cursor) => cursor.hex(length),
  write(writer, value) {
    if (typeof value !== 'string' || !writer.hex(value, length)) throw MISS;
  },
});

export const directList = <T>(item: Direct<T>, maxLength: number): Direct<readonly T[]> => ({
  depth: 1 + item.depth,
  read(cursor) {
    const count = cursor.count(4);
    if (count > maxLength) throw MISS;
    const values: T[] = [];
    for (let i = 0; i < count; i++) values.push(item.read(cursor));
    return values;
  },
  write(writer, values) {
    if (!Array.isArray(values) || values.length > maxLength) throw MISS;
    writer.head(4, values.length);
    for (let i = 0; i < values.length; i++) item.write(writer, values[i] as T);
  },
});

export const directNullable = <T>(inner: Direct<T>): Direct<T | null> => ({
  depth: inner.depth,
  read: (cursor) => (cursor.takes(NULL) ? null : inner.read(cursor)),
  write(writer, value) {
    if (value === null) writer.byte(NULL);
    else inner.write(writer, value);
  },
});

interface Field {
  readonly name: string;
  /** The name as it stands in the encoding, with its head. */
  readonly key: Bytes;
  /** Absent for the `kind` of a variant. */
  readonly direct: Direct<unknown> | undefined;
  readonly isOptional: boolean;
  /** Place among the fields as they were defined. */
  readonly place: number;
  readonly relative?: RelativeField | undefined;
}

/** A field that is written relative to a whole number in another field, which stands before it. */
export interface RelativeField {
  readonly name: string;
  readonly base: string;
  /** Levels of lists and maps in it. */
  readonly depth: number;
  read(cursor: CborCursor, base: number): unknown;
  write(writer: CborWriter, value: unknown, base: number): void;
}

type Fields = readonly (readonly [string, Codec<unknown>])[];

/** Records that can be read directly, by their codec's `direct`: what variants are made of. */
const fieldsOf = new WeakMap<Direct<never>, Fields>();

function encodedName(name: string): Bytes {
  const writer = new CborWriter();
  writeValue(writer, name, 0);
  return writer.finish();
}

/** In the order of the encoding; undefined when a field has no direct way. */
function plan(
  fields: Fields,
  tag?: string,
  relative?: RelativeField,
): readonly Field[] | undefined {
  const names = fields.map(([name]) => name);
  if (tag !== undefined && names.includes(tag)) return undefined;
  const found: Field[] = [];
  for (const { key: name } of prepareKeys(tag === undefined ? names : [...names, tag])) {
    const place = names.indexOf(name);
    const codec = fields[place]?.[1];
    if (codec && !codec.direct) return undefined;
    const isOptional = codec?.optional === true;
    found.push({
      name,
      key: encodedName(name),
      direct: codec?.direct,
      isOptional,
      place,
      relative: name === relative?.name ? relative : undefined,
    });
  }
  return found;
}

const depthOf = (fields: readonly Field[]): number =>
  1 + Math.max(0, ...fields.map(({ direct, relative }) => relative?.depth ?? direct?.depth ?? 0));

/** Fields of one map into a new object, in the order in which they were defined. */
function readFields(
  cursor: CborCursor,
  fields: readonly Field[],
  names: readonly string[],
  kind: string | undefined,
): Record<string, unknown> {
  let left = cursor.count(5);
  const values: unknown[] = [];
  for (let i = 0; i < names.length; i++) values.push(undefined);
  for (let i = 0; i < fields.length; i++) {
    const field = fields[i] as Field;
    if (left === 0 || !cursor.passes(field.key)) {
      if (!field.isOptional) throw MISS;
      continue;
    }
    left--;
    if (field.relative) {
      const base = values[names.indexOf(field.relative.base)];
      if (typeof base !== 'number') throw MISS;
      values[field.place] = field.relative.read(cursor, base);
    } else if (field.direct) values[field.place] = field.direct.read(cursor);
    else if (cursor.text() !== kind) throw MISS;
  }
  if (left !== 0) throw MISS;
  const out: Record<string, unknown> = kind === undefined ? {} : { kind };
  for (let i = 0; i < names.length; i++)
    if (values[i] !== undefined) out[names[i] as string] = values[i];
  return out;
}

function writeFields(
  writer: CborWriter,
  fields: readonly Field[],
  value: Readonly<Record<string, unknown>>,
  kind: string | undefined,
): void {
  let count = fields.length;
  for (let i = 0; i < fields.length; i++) {
    const { isOptional, name } = fields[i] as Field;
    if (isOptional && value[name] === undefined) count--;
  }
  writer.head(5, count);
  for (let i = 0; i < fields.length; i++) {
    const { name, key, direct, isOptional, relative } = fields[i] as Field;
    const own = direct ? value[name] : kind;
    if (isOptional && own === undefined) continue;
    writer.short(key);
    if (relative) {
      const base = value[relative.base];
      if (typeof base !== 'number') throw MISS;
      relative.write(writer, own, base);
    } else if (direct) direct.write(writer, own);
    else writeValue(writer, kind as string, 0);
  }
}

const isPlain = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' &&
  value !== null &&
  !Array.isArray(value) &&
  !(value instanceof Uint8Array) &&
  !(value instanceof CID);

/** The direct way of a record with one field that is written relative to another. */
export function directRelative<T>(outer: Codec<T>, relative: RelativeField): Direct<T> | undefined {
  const codecs = outer.direct && fieldsOf.get(outer.direct as Direct<never>);
  return codecs && directRecord<T>(codecs, relative);
}

export function directRecord<T>(codecs: Fields, relative?: RelativeField): Direct<T> | undefined {
  const fields = plan(codecs, undefined, relative);
  if (!fields) return undefined;
  const names = codecs.map(([name]) => name);
  const direct: Direct<T> = {
    depth: depthOf(fields),
    read: (cursor) => readFields(cursor, fields, names, undefined) as T,
    write(writer, value) {
      if (!isPlain(value)) throw MISS;
      writeFields(writer, fields, value, undefined);
    },
  };
  if (!relative) fieldsOf.set(direct as Direct<never>, codecs);
  return direct;
}

const KIND_KEY = encodedName('kind');

/** Finds the kind of the map that comes next; the cursor stays where it is. */
function peekKind(cursor: CborCursor): string {
  const start = cursor.at;
  for (let left = cursor.count(5); left > 0; left--) {
    if (cursor.passes(KIND_KEY)) {
      const kind = cursor.text();
      cursor.at = start;
      return kind;
    }
    cursor.skip();
    cursor.skip();
  }
  throw MISS;
}

export function directVariant<T>(
  variants: Readonly<Record<string, Codec<never> | Codec<unknown>>>,
): Direct<T> | undefined {
  const plans = new Map<string, { fields: readonly Field[]; names: readonly string[] }>();
  for (const [kind, { direct }] of Object.entries(variants)) {
    const codecs = direct && fieldsOf.get(direct as Direct<never>);
    const fields = codecs && plan(codecs, 'kind');
    if (!fields) return undefined;
    plans.set(kind, { fields, names: codecs.map(([name]) => name) });
  }
  return {
    depth: Math.max(1, ...[...plans.values()].map(({ fields }) => depthOf(fields))),
    read(cursor) {
      const kind = peekKind(cursor);
      const found = plans.get(kind);
      if (!found) throw MISS;
      return readFields(cursor, found.fields, found.names, kind) as T;
    },
    write(writer, value) {
      const { kind } = value as { kind?: unknown };
      const found = typeof kind === 'string' ? plans.get(kind) : undefined;
      if (!found || !isPlain(value)) throw MISS;
      writeFields(writer, found.fields, value, kind as string);
    },
  };
}
