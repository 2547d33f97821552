/**
 * What validators say to each other: shapes, canonical bytes, limits, signing domains. Positions are
 * absolute whole microseconds in memory; on the wire they are offsets from the message's own time,
 * which a canonical integer writes in five bytes or less and which never overflow.
 */
import {
  type Bytes,
  type CborCursor,
  type CborValue,
  type CborWriter,
  type Codec,
  type CodecValue,
  MISS,
  byteString,
  decodeWith,
  directRelative,
  encodeWith,
  hash32,
  kernelError,
  list,
  nullable,
  oneOf,
  optional,
  record,
  uint,
  variant,
  writeNumber,
} from '#libs/kernel';
import { edaError } from './errors.ts';
import { VALIDATORS_MAX } from './validator-set.ts';

export const ENTRIES_MAX = 4096;
export const MESSAGE_MAX_BYTES = 8 * 1024 * 1024;
export const PAYLOAD_MAX_BYTES = 1024 * 1024;
export const FETCH_MAX = 64;
export const VIEW_MAX = 1_000_000;
const SIGNATURE_MAX_BYTES = 96;
const PROOF_MAX_BYTES = 80;

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

const index = uint(VALIDATORS_MAX - 1);
const ERA_MAX = 2 ** 32;
const era = uint(ERA_MAX);
const timeUs = uint();
const view = uint(VIEW_MAX);

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
function withEntries<T extends object>(
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
const entriesOf = <E>() => list(nullable(uint(0)), 0) as unknown as Codec<readonly E[]>;

const blockShape = record({
  chain: hash32,
  era,
  author: index,
  seq: timeUs,
  prevOwn: hash32,
  txRoot: hash32,
  count: uint(65_536),
});
/** Head of a block of transactions; its payload travels beside it. */
export type BlockHead = CodecValue<typeof blockShape>;

export const tickShape = withEntries(
  record({
    chain: hash32,
    era,
    k: timeUs,
    axis: timeUs,
    entries: entriesOf<TickEntry>(),
    /** Sampled sets: shows that the sender has a seat in this tick. */
    proof: optional(byteString(PROOF_MAX_BYTES)),
  }),
  'entries',
  'axis',
  ['x0', 'x'],
);
export type Tick = CodecValue<typeof tickShape>;

export const bodyShape = withEntries(
  record({
    chain: hash32,
    era,
    slot: timeUs,
    prevHash: hash32,
    timeUs,
    entries: entriesOf<CutEntry>(),
    stateRoot: hash32,
    receiptsRoot: hash32,
    outboxRoot: hash32,
    setHash: hash32,
    nextSetHash: hash32,
    parentHeader: nullable(hash32),
    creator: index,
    vrf: byteString(PROOF_MAX_BYTES),
  }),
  'entries',
  'timeUs',
  ['pos', 'raw'],
);
/** A cut of the order: no view, certificate or signature inside, so that any view can re-propose it. */
export type Body = CodecValue<typeof bodyShape>;

export const voteShape = record({ chain: hash32, era, slot: timeUs, view, hash: hash32 });
export type Vote = CodecValue<typeof voteShape>;
const voteSignature = record({ from: index, signature: byteString(SIGNATURE_MAX_BYTES) });

/** Signatures of one message added up. */
export const aggregateShape = record({
  /** Bit i (of byte ⌊i / 8⌋, lowest first): validator i of the set signed. */
  signers: byteString(VALIDATORS_MAX / 8),
  signature: byteString(SIGNATURE_MAX_BYTES),
});
export type Aggregate = CodecValue<typeof aggregateShape>;

export const certificateShape = record({
  view,
  hash: hash32,
  votes: list(voteSignature, VALIDATORS_MAX),
  /** Instead of `votes`, in sets that vote by BLS. */
  aggregate: optional(aggregateShape),
});
/** Votes of weight Q for one (slot, view, hash): of PREPAREs a lock, of COMMITs finality. */
export type Certificate = CodecValue<typeof certificateShape>;

export const newViewShape = withEntries(
  record({
    chain: hash32,
    era,
    slot: timeUs,
    prevHash: hash32,
    view,
    timeUs,
    highQc: nullable(certificateShape),
    reports: entriesOf<Report>(),
  }),
  'reports',
  'timeUs',
  ['x'],
);
export type NewView = CodecValue<typeof newViewShape>;

const attestShape = record({ chain: hash32, era, slot: timeUs, hash: hash32 });
export type Attest = CodecValue<typeof attestShape>;

/** "I hold this block": what becomes its certificate of availability where votes are by BLS. */
const ackShape = record({ chain: hash32, era, author: index, seq: timeUs, hash: hash32 });
export type AckVote = CodecValue<typeof ackShape>;

/** Something signed; `from` is the signer's index in the set of the message's era. */
export interface Sealed<M> {
  readonly from: number;
  readonly message: M;
  readonly signature: Bytes;
}
/** What was signed, of messages that were read: one value has one encoding. */
const receivedBytes = new WeakMap<object, Bytes>();

function keepingBytes<M>({ toCbor, fromCbor, direct }: Codec<M>): Codec<M> {
  return {
    toCbor,
    fromCbor,
    direct: direct && {
      depth: direct.depth,
      write: (writer, value) => direct.write(writer, value),
      read(cursor) {
        const start = cursor.at;
        const message = direct.read(cursor);
        receivedBytes.set(message as object, cursor.bytes.subarray(start, cursor.at));
        return message;
      },
    },
  };
}

function sealed<M>(inner: Codec<M>): Codec<Sealed<M>> {
  return record({
    from: index,
    message: keepingBytes(inner),
    signature: byteString(SIGNATURE_MAX_BYTES),
  }) as unknown as Codec<Sealed<M>>;
}

export const newViewSealed = sealed(newViewShape);
const proposalShape = record({
  chain: hash32,
  era,
  slot: timeUs,
  view,
  body: bodyShape,
  justification: list(newViewSealed, VALIDATORS_MAX),
});
export type Proposal = CodecValue<typeof proposalShape>;

/** What is signed, by kind; the signing domain is `seele/eda-<kind>/1`. */
const signedShapes = {
  block: blockShape,
  tick: tickShape,
  proposal: proposalShape,
  prepare: voteShape,
  commit: voteShape,
  newview: newViewShape,
  attest: attestShape,
  ack: ackShape,
} as const;
export type SignedKind = keyof typeof signedShapes;
export interface SignedMessages {
  block: BlockHead;
  tick: Tick;
  proposal: Proposal;
  prepare: Vote;
  commit: Vote;
  newview: NewView;
  attest: Attest;
  ack: AckVote;
}

export const signingDomain = (kind: SignedKind): string => `seele/eda-${kind}/1`;

/** The bytes a validator signs, without the domain. */
export function signedBytes<K extends SignedKind>(kind: K, message: SignedMessages[K]): Bytes {
  const received = receivedBytes.get(message);
  if (received) return received;
  return encodeWith(signedShapes[kind] as unknown as Codec<SignedMessages[K]>, message);
}

export const sealedBlock = record({
  from: index,
  message: keepingBytes(blockShape),
  signature: byteString(SIGNATURE_MAX_BYTES),
  payload: byteString(PAYLOAD_MAX_BYTES),
});
/** A block with its payload. */
export type SealedBlock = CodecValue<typeof sealedBlock>;

export const messageShape = variant({
  block: sealedBlock,
  tick: sealed(tickShape),
  proposal: sealed(proposalShape),
  prepare: sealed(voteShape),
  commit: sealed(voteShape),
  newview: newViewSealed,
  attest: sealed(attestShape),
  /** To who collects them; back comes `available`. */
  ack: sealed(ackShape),
  available: record({ ack: ackShape, aggregate: aggregateShape }),
  /** The leader's certificate of PREPAREs or COMMITs sent to it. */
  certified: record({
    what: oneOf('prepare', 'commit'),
    chain: hash32,
    era,
    slot: timeUs,
    certificate: certificateShape,
  }),
  /** Attestations added up. */
  attested: record({ attest: attestShape, aggregate: aggregateShape }),
  /** A decided slot, for peers that lag. */
  final: record({ body: bodyShape, certificate: certificateShape }),
  /** A body by its hash, for leaders and voters that lack it. */
  body: record({ body: bodyShape }),
  /** A validator whose journal was lost asks; the last final slot of who answers. */
  recall: record({ chain: hash32 }),
  recalled: record({ chain: hash32, slot: timeUs }),
  fetch: record({
    blocks: list(hash32, FETCH_MAX),
    bodies: list(hash32, FETCH_MAX),
    finalsFrom: nullable(timeUs),
  }),
});
export type EdaMessage = CodecValue<typeof messageShape>;
export type MessageOf<K extends EdaMessage['kind']> = Extract<EdaMessage, { kind: K }>;

export function encodeMessage(message: EdaMessage): Bytes {
  return encodeWith(messageShape, message);
}

/**
 * Byte strings in the message look into `bytes`.
 * @throws KERNEL_CBOR_INVALID, KERNEL_CBOR_LIMIT, KERNEL_SHAPE, EDA_MESSAGE_TOO_LARGE
 */
export function decodeMessage(bytes: Bytes): EdaMessage {
  if (bytes.length > MESSAGE_MAX_BYTES)
    throw edaError('EDA_MESSAGE_TOO_LARGE', `${bytes.length} bytes, at most ${MESSAGE_MAX_BYTES}`);
  return decodeWith(messageShape, bytes, { maxBytes: MESSAGE_MAX_BYTES, views: true });
}
