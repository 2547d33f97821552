/**
 * The envelope: one dag-cbor block that names the sealed content and carries its key, wrapped for each
 * reader. It links to the content, so that a pin on it keeps the content too.
 */
import { hashOf } from '#libs/crypto';
import {
  byteString,
  cid,
  decodeWith,
  encodeWith,
  hexToBytes,
  list,
  oneOf,
  optional,
  record,
  text,
  uint,
  type Bytes,
  type CodecValue,
} from '#libs/kernel';

import { MAX_BLOCK_BYTES } from '../cids.ts';
import { storageError } from '../errors.ts';
import { MAX_WRAPPED_BYTES, type KeyUnwrap, type KeyWrap } from './key-wrap.ts';

export const SEALED_DOMAIN = 'seele/sealed/1';
export const MAX_CONTEXT_LENGTH = 1024;
/** Readers of one sealed content. */
export const MAX_WRAPS = 256;
/** Files of a folder that have keys of their own. */
export const MAX_OWN_KEYS = 10_000;

const stream = { content: cid, sizeBytes: uint() };
const header = {
  type: oneOf(SEALED_DOMAIN),
  /** What it belongs to (an address and version); authenticated with every chunk. */
  context: text(MAX_CONTEXT_LENGTH),
  ...stream,
  /** Of a folder: its sealed list of files. */
  manifest: optional(record(stream)),
  /** Of a folder: envelopes of the files that have keys of their own. */
  ownKeys: optional(list(cid, MAX_OWN_KEYS)),
};
const headerCodec = record(header);
const envelopeCodec = record({
  ...header,
  wraps: list(record({ scheme: text(64), wrapped: byteString(MAX_WRAPPED_BYTES) }), MAX_WRAPS),
});

export type SealedHeader = CodecValue<typeof headerCodec>;
export type Envelope = CodecValue<typeof envelopeCodec>;

/** What a wrapped key is bound to: everything in the envelope but the wrapped keys. */
const bindingOf = (fields: SealedHeader): Bytes =>
  hexToBytes(hashOf(SEALED_DOMAIN, encodeWith(headerCodec, fields))) as Bytes;

/** @throws STORAGE_KEY_INVALID when there is no recipient or too many */
export async function encodeEnvelope(
  fields: SealedHeader,
  contentKey: Bytes,
  recipients: readonly KeyWrap[],
): Promise<Bytes> {
  if (recipients.length === 0 || recipients.length > MAX_WRAPS)
    throw storageError(
      'STORAGE_KEY_INVALID',
      `${recipients.length} recipients; there must be 1 to ${MAX_WRAPS}`,
    );
  const binding = bindingOf(fields);
  const wraps = await Promise.all(
    recipients.map(async (recipient) => ({
      scheme: recipient.scheme,
      wrapped: await recipient.wrap(contentKey, binding),
    })),
  );
  return encodeWith(envelopeCodec, { ...fields, wraps });
}

/** @throws STORAGE_MALFORMED */
export function decodeEnvelope(block: Bytes): Envelope {
  try {
    return decodeWith(envelopeCodec, block, { maxBytes: MAX_BLOCK_BYTES });
  } catch (error) {
    throw storageError('STORAGE_MALFORMED', `not a sealed content: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/** The content key. @throws STORAGE_SEALED when none of the keys is wrapped for any of the readers */
export async function openEnvelope(
  { wraps, ...fields }: Envelope,
  readers: readonly KeyUnwrap[],
): Promise<Bytes> {
  const binding = bindingOf(fields);
  for (const reader of readers)
    for (const { scheme, wrapped } of wraps) {
      if (scheme !== reader.scheme) continue;
      const key = await reader.unwrap(wrapped, binding);
      if (key !== undefined) return key;
    }
  throw storageError(
    'STORAGE_SEALED',
    `the content is encrypted to ${wraps.length} keys, none of which is yours`,
  );
}

/** CID of the file that an envelope names. @throws STORAGE_MALFORMED, also for a sealed folder */
export function readEnvelopeContent(block: Bytes): string {
  const { content, manifest } = decodeEnvelope(block);
  if (manifest === undefined) return content;
  throw storageError('STORAGE_MALFORMED', 'a sealed folder has more than one file below it');
}
