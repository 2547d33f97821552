/** Hashes that headers, certificates and the state tree are made of. */
import { hashOf, separated, sha256, sha256TextOf } from '#libs/crypto';
import { type Bytes, concatBytes, encodeWith, utf8 } from '#libs/kernel';
import { HEADER_DOMAIN, type Header, header } from './block.ts';

export const STATE_KEY_DOMAIN = 'seele/state-key/1';
export const STATE_VALUE_DOMAIN = 'seele/state-value/1';
/** What a certificate signs is the header's hash, in this domain. */
export const CERTIFICATE_DOMAIN = 'seele/certificate/1';
const SEPARATOR = Uint8Array.of(0);

const keyHeads = new Map<string, Bytes>();
const KEY_HEADS_MAX = 1_000;

/** What a state tree key hashes before the key itself; contract names hold no zero byte. */
function keyHead(contract: string): Bytes {
  const known = keyHeads.get(contract);
  if (known) return known;
  const head = separated(STATE_KEY_DOMAIN, concatBytes(utf8(contract), SEPARATOR));
  if (keyHeads.size < KEY_HEADS_MAX) keyHeads.set(contract, head);
  return head;
}

const VALUE_HEAD = separated(STATE_VALUE_DOMAIN, new Uint8Array());

/** Position of an entry in the state tree. */
export function stateTreeKeyBytes(contract: string, key: Bytes): Bytes {
  return sha256(concatBytes(keyHead(contract), key));
}

/** The same as the tree keeps it, one character per byte. */
export function stateTreeKeyText(contract: string, key: Bytes): string {
  return sha256TextOf(keyHead(contract), key);
}

/** What the state tree holds for a value. */
export function stateValueHashBytes(value: Bytes): Bytes {
  return sha256(separated(STATE_VALUE_DOMAIN, value));
}

/** The same as the tree keeps it. */
export function stateValueHashText(value: Bytes): string {
  return sha256TextOf(VALUE_HEAD, value);
}

export function headerHash(value: Header): string {
  return hashOf(HEADER_DOMAIN, encodeWith(header, value));
}
