/**
 * Blocks, receipts and certificates. A block is what the ordering decided (time, transactions) plus
 * what executing it gave (receipts, state); its certificate attests the hash of the whole header, so
 * one certified header proves any transaction, receipt or state entry of its height.
 */
import {
  type ByteArena,
  type Bytes,
  type CodecValue,
  byteString,
  decodeWith,
  encodeWith,
  hash32,
  list,
  oneOf,
  optional,
  record,
  text,
  u64,
  uint,
  variant,
} from '#libs/kernel';
import { VALIDATORS_MAX, aggregateShape } from '#libs/eda';
import { createLogTree, stateProof as statePath } from '#libs/merkle';
import { TRANSACTION_MAX_BYTES, type TransactionEnvelope } from './transaction.ts';

/** Domain of header hashes and of the signatures over them. */
export const HEADER_DOMAIN = 'seele/header/1';

export const BLOCK_MAX_BYTES = 32 * 1024 * 1024;
export const BLOCK_MAX_TRANSACTIONS = 100_000;
export const RECEIPT_MAX_BYTES = 8 * 1024 * 1024;

export const header = record({
  /** Genesis id of the chain. */
  chain: hash32,
  /** 0 is genesis. */
  height: uint(),
  /** Hash of the previous header; the genesis id at height 0. */
  parent: hash32,
  /** µs since the Unix epoch; never less than the parent's. */
  timeUs: uint(),
  /** RFC 9162 tree over the transactions' bytes. */
  transactionsRoot: hash32,
  /** RFC 9162 tree over the receipts' bytes. */
  receiptsRoot: hash32,
  /** State tree after this block. */
  stateRoot: hash32,
  fuelUsed: u64,
  /** Hash of what the ordering agreed on before execution, where it is more than these fields. */
  decision: optional(hash32),
});
export type Header = CodecValue<typeof header>;

/** Who signed, by index in the set of validators, and how. */
const vote = record({ from: uint(VALIDATORS_MAX - 1), signature: byteString(96) });

/**
 * A change of validators that a verifier follows from the genesis on: a header that the set before it
 * certified, and the path to the set that its state holds for a later era.
 */
export const handover = record({
  /** The era from which the new set is in force. */
  era: uint(),
  header,
  /** Era whose set certified the header. */
  certifiedBy: uint(),
  votes: list(vote, VALIDATORS_MAX),
  aggregate: optional(aggregateShape),
  /** Canonical bytes of the set, as the state holds them, and their path in the state tree. */
  set: byteString(512 * 1024),
  path: statePath,
});
export type Handover = CodecValue<typeof handover>;

/** Why a header is final. `genesis`: block 0 needs none; whoever runs the genesis gets the same. */
export const certificate = variant({
  genesis: record({}),
  /** Signature of the sequencer named in the genesis over the header hash. */
  solo: record({ signature: byteString(96) }),
  /**
   * Signatures over the header hash, of weight Q of the era's set of validators: one by one, or in sets
   * above 64 as one sum of BLS signatures (and no votes).
   */
  eda: record({
    era: uint(),
    votes: list(vote, VALIDATORS_MAX),
    aggregate: optional(aggregateShape),
    /** Every change of the set since genesis; absent while there was none. */
    handovers: optional(list(handover, 10_000)),
  }),
});
export type Certificate = CodecValue<typeof certificate>;
export type EdaCertificate = Extract<Certificate, { kind: 'eda' }>;

export const certifiedHeader = record({ header, certificate });
export type CertifiedHeader = CodecValue<typeof certifiedHeader>;

export const block = record({
  header,
  certificate,
  transactions: list(byteString(TRANSACTION_MAX_BYTES), BLOCK_MAX_TRANSACTIONS),
});
export type Block = CodecValue<typeof block>;

export const event = record({
  contract: text(64),
  topic: text(64),
  /** Canonical CBOR of the event's data. */
  data: byteString(64 * 1024),
});
export type LedgerEvent = CodecValue<typeof event>;

/**
 * `ok`; `reverted`: a call refused (its code), unused fuel came back; `trapped`: fuel ran out or a rule
 * of the machine broke, the whole limit is paid; `invalid`: ordered but not executable (nonce, window,
 * fee), nothing happened. Only `ok` keeps the calls' writes and events.
 */
export const RECEIPT_STATUSES = ['ok', 'reverted', 'trapped', 'invalid'] as const;

export const receipt = record({
  transaction: hash32,
  status: oneOf(...RECEIPT_STATUSES),
  /** Stable error code when the status is not `ok`. */
  code: optional(text(64)),
  message: optional(text(1024)),
  /** Index of the call that failed. */
  failedCall: optional(uint(15)),
  fuelUsed: u64,
  /** Money paid: fuelUsed × fuelPrice. */
  fee: u64,
  /** Canonical CBOR of what each call returned. */
  results: list(byteString(64 * 1024), 16),
  events: list(event, 64),
});
export type Receipt = CodecValue<typeof receipt>;

/** A receipt with the place it was made in. */
export interface FinalReceipt {
  readonly receipt: Receipt;
  readonly height: number;
  readonly index: number;
  readonly timeUs: number;
}

/** A block that is stored, with what executing it gave. */
export interface CommittedBlock extends CertifiedHeader {
  readonly hash: string;
  readonly transactions: readonly TransactionEnvelope[];
  readonly receipts: readonly Receipt[];
  /** Canonical bytes of the receipts: what `receiptsRoot` is over. */
  readonly receiptBytes: readonly Bytes[];
}

/** What a block stream carries: the block and its receipts' bytes. */
export const blockWithReceipts = record({
  block,
  receipts: list(byteString(RECEIPT_MAX_BYTES), BLOCK_MAX_TRANSACTIONS),
});
export type BlockWithReceipts = CodecValue<typeof blockWithReceipts>;

/** @throws KERNEL_CBOR_INVALID, KERNEL_CBOR_LIMIT or KERNEL_SHAPE */
export function decodeBlockWithReceipts(bytes: Bytes): BlockWithReceipts {
  return decodeWith(blockWithReceipts, bytes, { maxBytes: BLOCK_MAX_BYTES });
}

/** RFC 9162 root over entries: what a header names transactions and receipts by. */
export function entriesRoot(entries: readonly Bytes[]): string {
  const tree = createLogTree();
  for (const entry of entries) tree.append(entry);
  return tree.root();
}

export function encodeBlock(value: Block): Bytes {
  return encodeWith(block, value);
}

/** @throws KERNEL_CBOR_INVALID, KERNEL_CBOR_LIMIT or KERNEL_SHAPE */
export function decodeBlock(bytes: Bytes): Block {
  return decodeWith(block, bytes, { maxBytes: BLOCK_MAX_BYTES });
}

/** @param arena where receipts of one block lie together */
export function encodeReceipt(value: Receipt, arena?: ByteArena): Bytes {
  return encodeWith(receipt, value, arena);
}

/** @throws KERNEL_CBOR_INVALID, KERNEL_CBOR_LIMIT or KERNEL_SHAPE */
export function decodeReceipt(bytes: Bytes): Receipt {
  return decodeWith(receipt, bytes, { maxBytes: RECEIPT_MAX_BYTES });
}
