/**
 * What a deal is about, for those who may read it: which content, how long, what each shard must be, and
 * the secret from which each provider's own encryption of its shard is made. Sealed; on the chain stands
 * the ciphertext and the secret wrapped to the keys of the consumer and the repairer.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import { hashOf, hkdfSha256 } from '#libs/crypto';
import {
  type Bytes,
  type CodecValue,
  type Randomness,
  byteString,
  cid,
  concatBytes,
  decodeWith,
  encodeWith,
  hash32,
  hexToBytes,
  isSeeleError,
  list,
  oneOf,
  optional,
  record,
  text,
  uint,
  utf8,
} from '#libs/kernel';
import type { KeyUnwrap, KeyWrap } from '#libs/storage';
import { dealsError } from './errors.ts';

const DOMAIN = 'seele/deal-descriptor/1';
const SECRET_BYTES = 32;
const TAG_BYTES = 16;
const SHARDS_MAX = 64;
const WRAPS_MAX = 16;
const ENVELOPE_MAX_BYTES = 8 * 1024;

const content = record({
  /** What was stored, as a reader names it. */
  cid,
  /** The file that is cut into shards: the same, or the ciphertext below the envelope `cid`. */
  file: cid,
  /** Length of that file in bytes. */
  sizeBytes: uint(),
  /** The block that `cid` names, when it is an envelope. */
  envelope: optional(byteString(ENVELOPE_MAX_BYTES)),
  /** Sector root of every shard before it is encrypted for its provider. */
  shardRoots: list(hash32, SHARDS_MAX),
});
export type DealContent = CodecValue<typeof content>;

const descriptor = record({
  type: oneOf(DOMAIN),
  wraps: list(record({ scheme: text(64), wrapped: byteString(1024) }), WRAPS_MAX),
  sealed: byteString(16 * 1024),
});

export interface OpenDeal extends DealContent {
  readonly secret: Bytes;
}

const keyOf = (secret: Bytes): Bytes => hkdfSha256(secret, new Uint8Array(), utf8(DOMAIN), 32);
/** A key seals one descriptor in its life. */
const NONCE = new Uint8Array(12);
const bindingOf = (sealed: Bytes): Bytes => hexToBytes(hashOf(DOMAIN, sealed)) as Bytes;

export const createDealSecret = (randomness: Randomness): Bytes => randomness.bytes(SECRET_BYTES);

export async function sealDescriptor(
  { secret, ...fields }: OpenDeal,
  readers: readonly KeyWrap[],
): Promise<Bytes> {
  const cipher = createCipheriv('aes-256-gcm', keyOf(secret), NONCE);
  const body = cipher.update(encodeWith(content, fields));
  cipher.final();
  const sealed = concatBytes(body, cipher.getAuthTag());
  const wraps = await Promise.all(
    readers.map(async (reader) => ({
      scheme: reader.scheme,
      wrapped: await reader.wrap(secret, bindingOf(sealed)),
    })),
  );
  return encodeWith(descriptor, { type: DOMAIN, wraps, sealed });
}

/** @throws DEALS_DESCRIPTOR when none of the readers may, or it is damaged */
export async function openDescriptor(
  bytes: Bytes,
  readers: readonly KeyUnwrap[],
): Promise<OpenDeal> {
  const refuse = (what: string) => dealsError('DEALS_DESCRIPTOR', what);
  try {
    const { wraps, sealed } = decodeWith(descriptor, bytes);
    for (const reader of readers)
      for (const { scheme, wrapped } of wraps) {
        if (scheme !== reader.scheme) continue;
        const secret = await reader.unwrap(wrapped, bindingOf(sealed));
        if (secret === undefined) continue;
        const cut = sealed.length - TAG_BYTES;
        const decipher = createDecipheriv('aes-256-gcm', keyOf(secret), NONCE);
        decipher.setAuthTag(sealed.subarray(cut));
        const plain = decipher.update(sealed.subarray(0, cut));
        decipher.final();
        return { ...decodeWith(content, plain), secret };
      }
    throw refuse(`it is encrypted to ${wraps.length} keys, none of which is yours`);
  } catch (error) {
    if (isSeeleError(error) && error.code === 'DEALS_DESCRIPTOR') throw error;
    throw dealsError('DEALS_DESCRIPTOR', 'what the deal says of its content is damaged', {
      cause: error,
    });
  }
}
