/**
 * Account identifiers: 32 bytes, hex in memory, `seele1…` where people read and copy them. The
 * written form is bech32m (BIP 350), whose checksum refuses a mistyped address before money moves.
 */
import { bech32m } from '@scure/base';
import { bytesToHex, hexToBytes } from './bytes.ts';
import { kernelError } from './errors.ts';

/** 32-byte account identifier in lower-case hex. */
export type AccountId = string;

const PREFIX = 'seele';
const LENGTH = 32;

export function formatAccount(account: AccountId): string {
  const bytes = hexToBytes(account);
  if (bytes?.length !== LENGTH)
    throw kernelError('KERNEL_ID_INVALID', `${JSON.stringify(account)} is not an account id`);
  return bech32m.encode(PREFIX, bech32m.toWords(bytes));
}

/** Reads `seele1…`. @throws KERNEL_ID_INVALID on a wrong prefix, length or checksum */
export function parseAccount(input: string): AccountId {
  try {
    const { prefix, words } = bech32m.decode(input as `${string}1${string}`);
    const bytes = bech32m.fromWords(words);
    if (prefix === PREFIX && bytes.length === LENGTH) return bytesToHex(bytes);
  } catch {
    // Reported below, in our words.
  }
  throw kernelError('KERNEL_ID_INVALID', `${JSON.stringify(input)} is not an account (seele1…)`);
}

/** More than are busy at a time; each value kept is one to three hundred bytes. */
const RECENT = 16_384;

/**
 * What is made of a hash or key in hex, the last ones kept: one transfer asks for what belongs to two
 * accounts eight times. Whoever gets one does not change it.
 */
export function madeOnce<T>(make: (hex: string) => T): (hex: string) => T {
  const recent: ({ readonly hex: string; readonly made: T } | undefined)[] = Array.from({
    length: RECENT,
  });
  return (hex) => {
    // Hashes and keys are random: any of their digits will do.
    const at = hex.length - 4;
    const slot =
      (((hex.charCodeAt(at) * 31 + hex.charCodeAt(at + 1)) * 31 + hex.charCodeAt(at + 2)) * 31 +
        hex.charCodeAt(at + 3)) &
      (RECENT - 1);
    const known = recent[slot];
    if (known?.hex === hex) return known.made;
    const made = make(hex);
    recent[slot] = { hex, made };
    return made;
  };
}
