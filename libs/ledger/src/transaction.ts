/**
 * Signed transactions: one account asks for one to sixteen calls, all or nothing. The id hashes the
 * body without the signature, because some signature schemes are randomised: the same intent keeps
 * one id however often it is signed.
 */
import { type Signer, accountOf, hashOf } from '#libs/crypto';
import {
  type AccountId,
  type Bytes,
  type CodecValue,
  byteString,
  decodeWith,
  encodeWith,
  hash32,
  hexBytes,
  list,
  optional,
  record,
  text,
  u64,
  uint,
} from '#libs/kernel';
import { ledgerError } from './errors.ts';
import type { VerifySignature } from './frames.ts';

export const TRANSACTION_DOMAIN = 'seele/transaction/1';
export const TRANSACTION_MAX_BYTES = 128 * 1024;
export const TRANSACTION_MAX_CALLS = 16;

export const call = record({
  /** Name of a system contract; account (hex) or name of a user contract. */
  contract: text(64),
  /** Empty only in a payment to an account: then `value` moves and nothing runs. */
  method: text(64),
  /** Canonical CBOR of the method's arguments. */
  args: byteString(64 * 1024),
  /** Money that goes with the call to a user contract or account, smallest units. */
  value: optional(u64),
});
export type Call = CodecValue<typeof call>;

export const transactionBody = record({
  /** Genesis id of the chain it is meant for. */
  chain: hash32,
  /** Tagged public key of the signer: key type byte (01 = ed25519) and key. */
  publicKey: hexBytes(33),
  /** Number of transactions the account made before this one. */
  nonce: uint(),
  /** Valid in blocks whose time is within [validFromUs, validUntilUs]. */
  validFromUs: optional(uint()),
  validUntilUs: uint(),
  /** Most fuel it may burn. */
  fuelLimit: u64,
  /** Money per unit of fuel. */
  fuelPrice: u64,
  calls: list(call, TRANSACTION_MAX_CALLS),
});
export type TransactionBody = CodecValue<typeof transactionBody>;

export const transaction = record({ body: transactionBody, signature: byteString(96) });
export type Transaction = CodecValue<typeof transaction>;

/** Transactions sent together, each as its canonical bytes. */
export const transactionBatch = list(byteString(TRANSACTION_MAX_BYTES), 1_000);
export const TRANSACTION_BATCH_MAX_BYTES = 8 * 1024 * 1024;

/** @throws KERNEL_CBOR_INVALID, KERNEL_CBOR_LIMIT or KERNEL_SHAPE */
export function decodeTransactionBatch(bytes: Bytes): readonly Bytes[] {
  return decodeWith(transactionBatch, bytes, {
    maxBytes: TRANSACTION_BATCH_MAX_BYTES,
    maxDepth: 2,
  });
}

/** A transaction read from its bytes, with what follows from them. */
export interface TransactionEnvelope {
  /** Hash of the unsigned body, hex. */
  readonly id: string;
  /** Account of the signer. */
  readonly account: AccountId;
  readonly body: TransactionBody;
  readonly signature: Bytes;
  /** Canonical bytes of the unsigned body: what is signed. */
  readonly bodyBytes: Bytes;
  /** Canonical bytes of the whole transaction. */
  readonly bytes: Bytes;
}

/** Canonical encoding of {body, signature}: map of two, then the key "body". */
const BODY_OFFSET = 1 + 5;
/** The key "signature" behind the body, and the head of its byte string. */
const SIGNATURE_KEY_BYTES = 1 + 9;
const MAX_DEPTH = 5;

function envelopeOf({ body, signature }: Transaction, bytes: Bytes): TransactionEnvelope {
  if (body.calls.length === 0)
    throw ledgerError('LEDGER_TRANSACTION_INVALID', 'a transaction makes at least one call');
  const headBytes = signature.length < 24 ? 1 : 2;
  const bodyEnd = bytes.length - signature.length - headBytes - SIGNATURE_KEY_BYTES;
  // One value has one encoding, so the body's bytes need not be made again.
  const bodyBytes = bytes.subarray(BODY_OFFSET, bodyEnd);
  return {
    id: hashOf(TRANSACTION_DOMAIN, bodyBytes),
    account: accountOf(body.publicKey),
    body,
    signature,
    bodyBytes,
    bytes,
  };
}

/** @throws KERNEL_SHAPE, LEDGER_TRANSACTION_INVALID when the body breaks a limit */
export function signTransaction(signer: Signer, body: TransactionBody): TransactionEnvelope {
  const signature = signer.sign(TRANSACTION_DOMAIN, encodeWith(transactionBody, body));
  const signed = { body, signature };
  const bytes = encodeWith(transaction, signed);
  if (bytes.length > TRANSACTION_MAX_BYTES)
    throw ledgerError(
      'LEDGER_TRANSACTION_INVALID',
      `${bytes.length} bytes where a transaction has at most ${TRANSACTION_MAX_BYTES}`,
    );
  return envelopeOf(signed, bytes);
}

/**
 * Reads a transaction without checking its signature. What it gives looks into `bytes`.
 * @throws KERNEL_CBOR_INVALID, KERNEL_CBOR_LIMIT, KERNEL_SHAPE or LEDGER_TRANSACTION_INVALID
 */
export function readTransaction(bytes: Bytes): TransactionEnvelope {
  const limits = { maxBytes: TRANSACTION_MAX_BYTES, maxDepth: MAX_DEPTH, views: true };
  return envelopeOf(decodeWith(transaction, bytes, limits), bytes);
}

/** True when the key in the body signed the body. */
export function hasValidSignature(
  { body, bodyBytes, signature }: TransactionEnvelope,
  verifySignature: VerifySignature,
): boolean {
  return verifySignature(body.publicKey, TRANSACTION_DOMAIN, bodyBytes, signature);
}
