/**
 * What validators say to each other: shapes, canonical bytes, limits, signing domains. Positions are
 * absolute whole microseconds in memory; on the wire they are offsets from the message's own time,
 * which a canonical integer writes in five bytes or less and which never overflow.
 */
import {
  type Bytes,
  type Codec,
  type CodecValue,
  byteString,
  decodeWith,
  encodeWith,
  hash32,
  list,
  nullable,
  oneOf,
  optional,
  record,
  uint,
  variant,
} from '#libs/kernel';
import { edaError } from './errors.ts';
import {
  type CutEntry,
  type Report,
  type TickEntry,
  entriesOf,
  era,
  index,
  timeUs,
  withEntries,
} from './entry-codecs.ts';
import { VALIDATORS_MAX } from './validator-set.ts';

export {
  type BlockName,
  type CutEntry,
  type Report,
  type TickEntry,
  ENTRIES_MAX,
} from './entry-codecs.ts';

export const MESSAGE_MAX_BYTES = 8 * 1024 * 1024;
export const PAYLOAD_MAX_BYTES = 1024 * 1024;
export const FETCH_MAX = 64;
export const VIEW_MAX = 1_000_000;
const SIGNATURE_MAX_BYTES = 96;
const PROOF_MAX_BYTES = 80;

const view = uint(VIEW_MAX);

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
