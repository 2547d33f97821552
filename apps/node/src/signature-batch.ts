/** Signatures to check, packed into one buffer that moves between threads without being copied. */
import type { BatchVerifier, SignedMessage } from '#libs/crypto';
import type { TransactionEnvelope } from '#libs/ledger';
import { type Bytes, bytesToHex, writeHex } from '#libs/kernel';

const KEY_BYTES = 33;

/** count u32, then per signature: key, length u8 and signature, length u32 and message. */
export function packSignatures(envelopes: readonly TransactionEnvelope[]): Uint8Array<ArrayBuffer> {
  let size = 4;
  for (const { signature, bodyBytes } of envelopes)
    size += KEY_BYTES + 1 + signature.length + 4 + bodyBytes.length;
  const packed = new Uint8Array(size);
  const view = new DataView(packed.buffer);
  view.setUint32(0, envelopes.length);
  let at = 4;
  for (const { body, signature, bodyBytes } of envelopes) {
    writeHex(body.publicKey, packed, at);
    at += KEY_BYTES;
    packed[at++] = signature.length;
    packed.set(signature, at);
    at += signature.length;
    view.setUint32(at, bodyBytes.length);
    at += 4;
    packed.set(bodyBytes, at);
    at += bodyBytes.length;
  }
  return packed;
}

/** One byte per signature over `domain`: 1 when it holds. */
export function verifyPacked(
  packed: Bytes,
  domain: string,
  verify: BatchVerifier,
): Uint8Array<ArrayBuffer> {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.length);
  const count = view.getUint32(0);
  const signed: SignedMessage[] = [];
  let at = 4;
  for (let i = 0; i < count; i++) {
    const publicKey = bytesToHex(packed.subarray(at, at + KEY_BYTES));
    at += KEY_BYTES;
    const signatureLength = packed[at++] as number;
    const signature = packed.subarray(at, at + signatureLength);
    at += signatureLength;
    const messageLength = view.getUint32(at);
    at += 4;
    const message = packed.subarray(at, at + messageLength);
    at += messageLength;
    signed.push({ publicKey, message, signature });
  }
  return Uint8Array.from(verify(domain, signed), Number);
}
