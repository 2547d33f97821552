/** Hashes that headers, certificates and the state tree are made of. */
import { hashOf, separated, sha256, sha256Text } from '#libs/crypto';
import { type Bytes, concatBytes, encodeWith, utf8 } from '#libs/kernel';
import { HEADER_DOMAIN, type Header, header } from './block.ts';

export const STATE_KEY_DOMAIN = 'seele/state-key/1';
export const STATE_VALUE_DOMAIN = 'seele/state-value/1';
/** What a certificate signs is the header's hash, in this domain. */
export const CERTIFICATE_DOMAIN = 'seele/certificate/1';
const SEPARATOR = Uint8Array.of(0);

/** What a state tree key hashes; contract names hold no zero byte. */
function stateTreeKeyInput(contract: string, key: Bytes): Bytes {
  return separated(STATE_KEY_DOMAIN, concatBytes(utf8(contract), SEPARATOR, key));
}

/** Position of an entry in the state tree. */
export function stateTreeKeyBytes(contract: string, key: Bytes): Bytes {
  return sha256(stateTreeKeyInput(contract, key));
}

/** The same as the tree keeps it, one character per byte. */
export function stateTreeKeyText(contract: string, key: Bytes): string {
  return sha256Text(stateTreeKeyInput(contract, key));
}

/** What the state tree holds for a value. */
export function stateValueHashBytes(value: Bytes): Bytes {
  return sha256(separated(STATE_VALUE_DOMAIN, value));
}

/** The same as the tree keeps it. */
export function stateValueHashText(value: Bytes): string {
  return sha256Text(separated(STATE_VALUE_DOMAIN, value));
}

export function headerHash(value: Header): string {
  return hashOf(HEADER_DOMAIN, encodeWith(header, value));
}
