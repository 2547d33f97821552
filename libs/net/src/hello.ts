/**
 * The first message of each side: who it is, with a signature over a secret of this very stream. The
 * signature holds for this stream, this role and this network only, so it can be neither replayed nor
 * passed on by somebody in between (channel binding, RFC 9266).
 */
import { type Signer, verifySignature } from '#libs/crypto';
import {
  type Bytes,
  type CodecValue,
  byteString,
  decodeWith,
  encodeWith,
  hash32,
  hexBytes,
  isSeeleError,
  oneOf,
  record,
  uint,
} from '#libs/kernel';
import type { LinkEnd, PeerKey } from './transport.ts';

export const LINK_VERSION = 1;
export const LINK_DOMAIN = 'seele/net-link/1';
export const HELLO_MAX_BYTES = 512;

const signedShape = record({
  version: uint(65_535),
  network: hash32,
  publicKey: hexBytes(33),
  role: oneOf('dialler', 'listener'),
});
const helloShape = record({ claim: signedShape, signature: byteString(64) });
const bindingShape = record({ claim: signedShape, binding: byteString(64) });
export type Role = CodecValue<typeof signedShape>['role'];

/** What this side says first. */
export function createHello(signer: Signer, network: string, role: Role, binding: Bytes): Bytes {
  const claim = { version: LINK_VERSION, network, publicKey: signer.publicKey, role };
  const signature = signer.sign(LINK_DOMAIN, encodeWith(bindingShape, { claim, binding }));
  return encodeWith(helloShape, { claim, signature });
}

/** Who said this hello on this stream, or why the link ends. Never throws. */
export function checkHello(
  bytes: Bytes,
  network: string,
  role: Role,
  binding: Bytes,
): { readonly peer: PeerKey } | { readonly end: LinkEnd } {
  let hello: CodecValue<typeof helloShape>;
  try {
    hello = decodeWith(helloShape, bytes, { maxBytes: HELLO_MAX_BYTES, maxDepth: 3 });
  } catch (error) {
    if (!isSeeleError(error)) throw error;
    return { end: 'malformed-frame' };
  }
  const { claim, signature } = hello;
  if (claim.network !== network || claim.version !== LINK_VERSION) return { end: 'wrong-network' };
  const signed = encodeWith(bindingShape, { claim, binding });
  const isGenuine =
    claim.role === role && verifySignature(claim.publicKey, LINK_DOMAIN, signed, signature);
  return isGenuine ? { peer: claim.publicKey } : { end: 'not-authentic' };
}
