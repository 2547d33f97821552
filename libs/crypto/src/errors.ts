/** Failures of keys, key files and signed HTTP messages. */
import { defineErrors } from '#libs/kernel';

export const cryptoError = defineErrors({
  CRYPTO_KEY_INVALID: {
    status: 400,
    title: 'Not a usable key',
    fix: 'Use a 32-byte ed25519 seed or a public key written as 01 and 64 hex digits.',
  },
  CRYPTO_DOMAIN_INVALID: {
    status: 500,
    title: 'Signing domain refused',
    fix: 'Name the purpose as seele/<what>/<version>; messages of other protocols may not look so.',
  },
  CRYPTO_LENGTH_INVALID: {
    status: 500,
    title: 'Length not possible',
    fix: 'Ask for 1 to 8160 bytes.',
  },
  CRYPTO_VRF_INPUT: {
    status: 500,
    title: 'Input has no point on the curve',
    fix: 'Change the input; this happens once in 2^256 inputs.',
  },
  KEYSTORE_CORRUPT: {
    status: 400,
    title: 'Key file is damaged',
    fix: 'Restore the key file from a backup; its bytes were changed or cut off.',
  },
  KEYSTORE_UNSUPPORTED: {
    status: 400,
    title: 'Key file of an unknown kind',
    fix: 'Open it with the version of Seele that wrote it.',
  },
  KEYSTORE_COST_REFUSED: {
    status: 400,
    title: 'Key file asks for an unreasonable amount of work',
    fix: 'Do not open this file: its key derivation would use more than 512 MiB or take minutes.',
  },
  KEYSTORE_PASSPHRASE_WRONG: {
    status: 401,
    title: 'Wrong passphrase',
    fix: 'Type the passphrase with which the key file was made.',
  },
  KEYSTORE_PASSPHRASE_EMPTY: {
    status: 400,
    title: 'Empty passphrase',
    fix: 'Set SEELE_PASSPHRASE or type a passphrase of at least one character.',
  },
  HTTP_SIGNATURE_MISSING: {
    status: 401,
    title: 'Request is not signed',
    fix: 'Send Signature-Input and Signature (RFC 9421), with Content-Digest when there is a body.',
  },
  HTTP_SIGNATURE_MALFORMED: {
    status: 400,
    title: 'Signature headers cannot be read',
    fix: 'Write Signature-Input, Signature and Content-Digest as RFC 9421 and RFC 9530 say.',
  },
  HTTP_SIGNATURE_INSUFFICIENT: {
    status: 401,
    title: 'Signature covers too little',
    fix: 'Cover @method, @target-uri and, with a body, content-digest; give created, expires, nonce and keyid.',
  },
  HTTP_SIGNATURE_EXPIRED: {
    status: 401,
    title: 'Signature is not valid at this time',
    fix: 'Sign the request again; check that the clock of this machine is right.',
  },
  HTTP_SIGNATURE_WRONG: {
    status: 401,
    title: 'Signature does not match',
    fix: 'Sign exactly what is sent: method, full address, covered headers and body.',
  },
  HTTP_DIGEST_MISMATCH: {
    status: 400,
    title: 'Body differs from its Content-Digest',
    fix: 'Send the request again; the body was changed on the way.',
  },
  HTTP_SIGNATURE_REPLAYED: {
    status: 409,
    title: 'Signed request was already used',
    fix: 'Sign every request anew with a fresh nonce.',
  },
  HTTP_NONCES_FULL: {
    status: 503,
    title: 'Too many signed requests within one signature lifetime',
    fix: 'Wait a few seconds and send the request again.',
  },
});
