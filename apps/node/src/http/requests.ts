/** What clients write into addresses, read and checked. */
import {
  type AccountId,
  type Bytes,
  type TimeUs,
  hexToBytes,
  kernelError,
  parseAccount,
} from '#libs/kernel';
import { platformError } from '#libs/platform';

const HASH = /^[0-9a-f]{64}$/;
const WHOLE = /^\d{1,15}$/;

/** A block's time as ISO 8601, for people; milliseconds are exact enough there. */
export function isoTime(timeUs: TimeUs): string {
  return new Date(timeUs / 1000).toISOString();
}

/** `seele1…` or 64 hex digits. */
export function readAccount(text: string): AccountId {
  return HASH.test(text) ? text : parseAccount(text);
}

export function readHash(text: string, what: string): string {
  if (HASH.test(text)) return text;
  throw kernelError('KERNEL_ID_INVALID', `${JSON.stringify(text)} is not ${what} (64 hex digits)`);
}

export function readHex(text: string, what: string, maxBytes = 256): Bytes {
  const bytes = hexToBytes(text);
  if (bytes && bytes.length <= maxBytes) return bytes;
  throw platformError('HTTP_BAD_REQUEST', `${what}: expected at most ${maxBytes} bytes in hex`);
}

export function readWhole(
  text: string | undefined,
  what: string,
  range: { readonly preset: number; readonly max: number },
): number {
  if (text === undefined) return range.preset;
  if (!WHOLE.test(text) || Number(text) > range.max)
    throw platformError('HTTP_BAD_REQUEST', `${what}: expected a whole number up to ${range.max}`);
  return Number(text);
}
