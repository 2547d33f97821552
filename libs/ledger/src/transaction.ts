/**
 * Signed transactions: one account asks for one to sixteen calls, all or nothing. The id hashes the
 * body without the signature, because some signature schemes are randomised: the same intent keeps
 * one id however often it is signed.
 */
import {
  type AccountId,
  type Bytes,
  type CodecValue,
  byteString,
  hash32,
  hexBytes,
  list,
  optional,
  record,
  text,
  u64,
  uint,
} from '#libs/kernel';

export const TRANSACTION_DOMAIN = 'seele/transaction/1';
export const TRANSACTION_MAX_BYTES = 128 * 1024;
export const TRANSACTION_MAX_CALLS = 16;

export const call = record({
  contract: text(64),
  method: text(64),
  /** Canonical CBOR of the method's arguments. */
  args: byteString(64 * 1024),
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
