/**
 * Lists of blocks in messages: names, and times as offsets from the message's own time. A canonical integer
 * writes such an offset in five bytes or less, and it never overflows.
 */
import {
  type CborCursor,
  type CborValue,
  type CborWriter,
  type Codec,
  MISS,
  directRelative,
  hash32,
  kernelError,
  list,
  nullable,
  uint,
  writeNumber,
} from '#libs/kernel';
import { VALIDATORS_MAX } from './validator-set.ts';

export const ENTRIES_MAX = 4096;

/** Names one block of one author; the hash tells an equivocator's blocks apart. */
export interface BlockName {
  readonly era: number;
  readonly author: number;
  readonly seq: number;
  readonly hash: string;
}
export interface TickEntry extends BlockName {
  /** Position at which the sender first held the block: the acknowledgement. */
  readonly x0: number;
  /** Its vote. */
  readonly x: number;
}
export interface CutEntry extends BlockName {
  readonly pos: number;
  readonly raw: number;
}
export interface Report extends BlockName {
  readonly x: number;
}

/** Place of a validator in its set. */
export const index = uint(VALIDATORS_MAX - 1);
const ERA_MAX = 2 ** 32;
export const era = uint(ERA_MAX);
export const timeUs = uint();

function shapeError(path: string, expected: string): Error {
  return kernelError('KERNEL_SHAPE', `${path}: expected ${expected}`, { detail: { path } });
}

/** Entries as arrays [era, author, seq, hash, ...offsets]; `fields` are times, offset from `base`. */
function entriesToCbor(
  entries: readonly BlockName[],
  fields: readonly string[],
  base: number,
  path: string,
): CborValue {
  if (entries.length > ENTRIES_MAX) throw shapeError(path, `at most ${ENTRIES_MAX} entries`);
  return entries.map((entry, i) => {
    const where = `${path}[${i}]`;
    const out: CborValue[] = [
      era.toCbor(entry.era, where),
      index.toCbor(entry.author, where),
      timeUs.toCbor(entry.seq, where),
      hash32.toCbor(entry.hash, where),
    ];
    for (const field of fields) {
      const value = (entry as unknown as Record<string, unknown>)[field];
      out.push(timeUs.toCbor(value as number, where) as number);
      out[out.length - 1] = (value as number) - base;
    }
    return out;
  });
}

function entriesFromCbor<E extends BlockName>(
  value: CborValue | undefined,
  fields: readonly string[],
  base: number,
  path: string,
): readonly E[] {
  if (!Array.isArray(value) || value.length > ENTRIES_MAX)
    throw shapeError(path, `at most ${ENTRIES_MAX} entries`);
  return (value as readonly CborValue[]).map((item, i) => {
    const where = `${path}[${i}]`;
    if (!Array.isArray(item) || item.length !== 4 + fields.length)
      throw shapeError(where, `${4 + fields.length} values`);
    const parts = item as readonly CborValue[];
    const out: Record<string, unknown> = {
      era: era.fromCbor(parts[0], where),
      author: index.fromCbor(parts[1], where),
      seq: timeUs.fromCbor(parts[2], where),
      hash: hash32.fromCbor(parts[3], where),
    };
    for (const [j, field] of fields.entries()) {
      const offset = parts[4 + j];
      if (typeof offset !== 'number' || !Number.isSafeInteger(offset))
        throw shapeError(where, 'a whole offset');
      out[field] = timeUs.fromCbor(base + offset, where);
    }
    return out as unknown as E;
  });
}

function readEntries(cursor: CborCursor, times: readonly string[], base: number): unknown {
  const count = cursor.count(4);
  if (count > ENTRIES_MAX) throw MISS;
  const entries: unknown[] = [];
  for (let i = 0; i < count; i++) {
    if (cursor.head(4) !== 4 + times.length) throw MISS;
    const entry: Record<string, unknown> = {
      era: cursor.head(0),
      author: cursor.head(0),
      seq: cursor.head(0),
      hash: cursor.hex(32),
    };
    if ((entry['era'] as number) > ERA_MAX || (entry['author'] as number) >= VALIDATORS_MAX)
      throw MISS;
    for (let j = 0; j < times.length; j++) {
      const time = base + cursor.whole();
      if (time < 0 || time > Number.MAX_SAFE_INTEGER) throw MISS;
      entry[times[j] as string] = time;
    }
    entries.push(entry);
  }
  return entries;
}

const isWhole = (value: unknown, max: number): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= max;

function writeEntries(
  writer: CborWriter,
  value: unknown,
  times: readonly string[],
  base: number,
): void {
  if (!Array.isArray(value) || value.length > ENTRIES_MAX) throw MISS;
  const entries = value as readonly (BlockName & Record<string, unknown>)[];
  writer.head(4, entries.length);
  for (const entry of entries) {
    const { era: of, author, seq, hash } = entry;
    if (!isWhole(of, ERA_MAX) || !isWhole(author, VALIDATORS_MAX - 1)) throw MISS;
    if (!isWhole(seq, Number.MAX_SAFE_INTEGER)) throw MISS;
    writer.head(4, 4 + times.length);
    writer.head(0, of);
    writer.head(0, author);
    writer.head(0, seq);
    if (typeof hash !== 'string' || !writer.hex(hash, 32)) throw MISS;
    for (let j = 0; j < times.length; j++) {
      const time = entry[times[j] as string];
      if (!isWhole(time, Number.MAX_SAFE_INTEGER)) throw MISS;
      writeNumber(writer, time - base);
    }
  }
}

/** A record whose `field` holds entries with times relative to the record's own `baseField`. */
export function withEntries<T extends object>(
  outer: Codec<T>,
  field: keyof T & string,
  baseField: keyof T & string,
  times: readonly string[],
): Codec<T> {
  return {
    toCbor: (value, path) => {
      const plain = outer.toCbor({ ...value, [field]: [] }, path) as Record<string, CborValue>;
      const base = value[baseField] as number;
      const entries = value[field] as readonly BlockName[];
      return { ...plain, [field]: entriesToCbor(entries, times, base, `${path}.${field}`) };
    },
    fromCbor: (value, path) => {
      const raw = value as Readonly<Record<string, CborValue>> | undefined;
      const isObject = typeof raw === 'object' && raw !== null && !Array.isArray(raw);
      const plain = outer.fromCbor(
        isObject && field in raw ? { ...raw, [field]: [] } : value,
        path,
      );
      const base = plain[baseField] as number;
      const entries = entriesFromCbor(raw?.[field], times, base, `${path}.${field}`);
      return { ...plain, [field]: entries };
    },
    direct: directRelative(outer, {
      name: field,
      base: baseField,
      depth: 2,
      read: (cursor, base) => readEntries(cursor, times, base),
      write: (writer, value, base) => writeEntries(writer, value, times, base),
    }),
  };
}

/** Stands where entries go; `withEntries` fills it. */
export const entriesOf = <E>() => list(nullable(uint(0)), 0) as unknown as Codec<readonly E[]>;
