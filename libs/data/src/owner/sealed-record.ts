/** Secrets of the owner on disk: AES-256-GCM under a key that follows from the account's seed. */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import { gunzipSync, gzipSync } from 'node:zlib';
import { hkdfSha256 } from '#libs/crypto';
import { type Bytes, type Randomness, concatBytes, utf8 } from '#libs/kernel';
import { dataError } from '../errors.ts';

const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const PLAIN_BYTES_MAX = 128 * 1024 * 1024;

export interface RecordSeal {
  /** @param context what the record is; another one does not open it */
  seal(context: string, value: unknown): Bytes;
  /** @throws DATA_STORE */
  open(context: string, sealed: Bytes): unknown;
}

export function createRecordSeal(seed: Bytes, randomness: Randomness): RecordSeal {
  const key = hkdfSha256(seed, new Uint8Array(), utf8('seele/owner-store/1'), 32);
  return {
    seal(context, value) {
      const nonce = randomness.bytes(NONCE_BYTES);
      const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
      cipher.setAAD(utf8(context));
      const body = cipher.update(gzipSync(JSON.stringify(value)));
      cipher.final();
      return concatBytes(nonce, new Uint8Array(body), new Uint8Array(cipher.getAuthTag()));
    },
    open(context, sealed) {
      try {
        const end = sealed.length - TAG_BYTES;
        const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, NONCE_BYTES), {
          authTagLength: TAG_BYTES,
        });
        decipher.setAAD(utf8(context));
        decipher.setAuthTag(sealed.subarray(end));
        const body = decipher.update(sealed.subarray(NONCE_BYTES, end));
        decipher.final();
        return JSON.parse(gunzipSync(body, { maxOutputLength: PLAIN_BYTES_MAX }).toString('utf8'));
      } catch (cause) {
        throw dataError('DATA_STORE', `${context} does not open with this account’s key`, {
          cause,
        });
      }
    },
  };
}
