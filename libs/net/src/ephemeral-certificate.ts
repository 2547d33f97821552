/**
 * A certificate for the listening end of TLS 1.3, which cannot do without one. Its key is made at
 * start and says nothing about anybody: who is there is proven inside the stream (`hello.ts`). Node
 * can read X.509 but not write it, so the few bytes of DER are put together here (RFC 5280, RFC 8410).
 */
import { generateKeyPairSync, sign } from 'node:crypto';
import { type Bytes, concatBytes, hexToBytes, utf8 } from '#libs/kernel';

const SEQUENCE = 0x30;
const SET = 0x31;
const INTEGER = 0x02;
const BIT_STRING = 0x03;
const UTF8_STRING = 0x0c;
const UTC_TIME = 0x17;
const GENERALIZED_TIME = 0x18;
const ED25519_OID = hexToBytes('06032b6570') as Bytes;
const COMMON_NAME_OID = hexToBytes('0603550403') as Bytes;

function der(tag: number, ...contents: readonly Bytes[]): Bytes {
  const content = concatBytes(...contents);
  const { length } = content;
  const head =
    length < 0x80
      ? Uint8Array.of(tag, length)
      : length < 0x100
        ? Uint8Array.of(tag, 0x81, length)
        : Uint8Array.of(tag, 0x82, length >> 8, length & 0xff);
  return concatBytes(head, content);
}

const pem = (label: string, bytes: Bytes): string =>
  `-----BEGIN ${label}-----\n${Buffer.from(bytes).toString('base64')}\n-----END ${label}-----\n`;

/** Key and certificate in PEM, valid for ever, for this process only. */
export function createEphemeralCertificate(): { readonly key: string; readonly cert: string } {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const algorithm = der(SEQUENCE, ED25519_OID);
  const name = der(
    SEQUENCE,
    der(SET, der(SEQUENCE, COMMON_NAME_OID, der(UTF8_STRING, utf8('seele')))),
  );
  const validity = der(
    SEQUENCE,
    der(UTC_TIME, utf8('200101000000Z')),
    der(GENERALIZED_TIME, utf8('99991231235959Z')),
  );
  const spki = new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }));
  const serial = der(INTEGER, Uint8Array.of(1));
  // Version 1, the default, has no field for it.
  const body = der(SEQUENCE, serial, algorithm, name, validity, name, spki);
  const signature = new Uint8Array(sign(null, body, privateKey));
  const certificate = der(SEQUENCE, body, algorithm, der(BIT_STRING, Uint8Array.of(0), signature));
  return {
    key: privateKey.export({ format: 'pem', type: 'pkcs8' }) as string,
    cert: pem('CERTIFICATE', certificate),
  };
}
