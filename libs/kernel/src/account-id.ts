/**
 * Account identifiers: 32 bytes, hex in memory, `seele1…` where people read and copy them. The
 * written form is bech32m (BIP 350), whose checksum refuses a mistyped address before money moves.
 */
import { bech32m } from '@scure/base';
import { type Bytes, bytesToHex, hexToBytes } from './bytes.ts';
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

const RECENT_KEYS = 4096;

/**
 * Keys that are made of an account, the last ones kept: one transfer asks for those of two accounts
 * eight times. Whoever gets a key does not change it.
 */
export function keysOfAccounts(make: (account: AccountId) => Bytes): (account: AccountId) => Bytes {
  const recent: ({ readonly account: AccountId; readonly key: Bytes } | undefined)[] = Array.from({
    length: RECENT_KEYS,
  });
  return (account) => {
    // Accounts are hashes: any of their digits will do.
    const slot =
      (((account.charCodeAt(0) * 31 + account.charCodeAt(1)) * 31 + account.charCodeAt(2)) * 31 +
        account.charCodeAt(3)) &
      (RECENT_KEYS - 1);
    const known = recent[slot];
    if (known?.account === account) return known.key;
    const key = make(account);
    recent[slot] = { account, key };
    return key;
  };
}
