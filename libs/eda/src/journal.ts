/** Canonical bytes of journal records: what a host writes before it carries out what follows. */
import {
  type Bytes,
  type Codec,
  bool,
  decodeWith,
  encodeWith,
  hash32,
  list,
  nullable,
  record,
  uint,
  variant,
} from '#libs/kernel';
import {
  type EdaMessage,
  FETCH_MAX,
  MESSAGE_MAX_BYTES,
  bodyShape,
  certificateShape,
  messageShape,
  sealedBlock,
} from './messages.ts';
import type { JournalRecord } from './types.ts';

const lock = record({ view: uint(), hash: hash32 });
const journalShape = variant({
  block: record({ block: sealedBlock, x0: uint() }),
  vote: record({
    slot: uint(),
    view: uint(),
    prepared: nullable(lock),
    committed: nullable(lock),
    highQc: nullable(certificateShape),
    bodies: list(bodyShape, FETCH_MAX),
    sent: list(messageShape as Codec<EdaMessage>, FETCH_MAX),
    floorUs: uint(),
  }),
  final: record({ body: bodyShape, certificate: certificateShape }),
  ticks: record({ below: uint() }),
  attest: record({ slot: uint(), hash: hash32 }),
  recovery: record({ isOver: bool, era: uint() }),
});

export function encodeJournalRecord(entry: JournalRecord): Bytes {
  return encodeWith(journalShape, entry);
}

/** @throws KERNEL_CBOR_INVALID, KERNEL_CBOR_LIMIT, KERNEL_SHAPE */
export function decodeJournalRecord(bytes: Bytes): JournalRecord {
  return decodeWith(journalShape, bytes, { maxBytes: 4 * MESSAGE_MAX_BYTES });
}
