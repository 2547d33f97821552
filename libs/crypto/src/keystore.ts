/**
 * A key file: one ed25519 seed under a passphrase. scrypt (RFC 7914) stretches the passphrase,
 * AES-256-GCM seals the seed, and everything beside the ciphertext is authenticated with it. A plain
 * checksum over the whole tells a damaged file from a wrong passphrase.
 */
import { createCipheriv, createDecipheriv, scryptSync } from 'node:crypto';
import {
  type Bytes,
  type CborValue,
  type Randomness,
  bytesToHex,
  encodeCbor,
  formatAccount,
  hexToBytes,
  utf8,
} from '#libs/kernel';
import { type KeyPair, SEED_BYTES, keyPairFromSeed } from './accounts.ts';
import { cryptoError } from './errors.ts';
import { hashOf } from './hashes.ts';

const KIND = 'seele-keystore';
const VERSION = 1;
const SALT_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const TEXT_MAX_CHARACTERS = 16_384;
const CHECKSUM_DOMAIN = 'seele/keystore/1';

export interface ScryptCost {
  /** Iterations, a power of two. */
  readonly n: number;
  readonly r: number;
  readonly p: number;
}

/** 128 MiB and about a third of a second. */
export const KEYSTORE_COST: ScryptCost = { n: 2 ** 17, r: 8, p: 1 };
/** The most a file may ask of whoever opens it: 512 MiB, p up to 4. */
const MEMORY_MAX_BYTES = 512 * 2 ** 20;
const P_MAX = 4;

interface KeystoreHeader {
  readonly kind: typeof KIND;
  readonly version: number;
  /** `seele1…` of the key inside. */
  readonly account: string;
  readonly publicKey: string;
  readonly kdf: { readonly name: 'scrypt'; readonly salt: string } & ScryptCost;
  readonly cipher: { readonly name: 'aes-256-gcm'; readonly nonce: string };
}

interface Keystore extends KeystoreHeader {
  /** Sealed seed and its 16-byte tag, hex. */
  readonly sealed: string;
  readonly checksum: string;
}

const headerBytes = (header: KeystoreHeader): Bytes => {
  const { kind, version, account, publicKey, kdf, cipher } = header;
  return encodeCbor({ kind, version, account, publicKey, kdf, cipher } as unknown as CborValue);
};

const checksumOf = (header: KeystoreHeader, sealed: string): string =>
  hashOf(CHECKSUM_DOMAIN, encodeCbor([headerBytes(header), sealed]));

function checkCost({ n, r, p }: ScryptCost): void {
  const whole = [n, r, p].every((v) => Number.isSafeInteger(v) && v > 0);
  const powerOfTwo = whole && n > 1 && n <= 2 ** 30 && (n & (n - 1)) === 0;
  if (!powerOfTwo || r > 64 || p > P_MAX || 128 * n * r > MEMORY_MAX_BYTES)
    throw cryptoError('KEYSTORE_COST_REFUSED', `scrypt with n=${n}, r=${r}, p=${p}`);
}

function deriveKey(passphrase: string, header: KeystoreHeader): Bytes {
  if (passphrase === '') throw cryptoError('KEYSTORE_PASSPHRASE_EMPTY', 'the passphrase is empty');
  const { n, r, p, salt } = header.kdf;
  return scryptSync(utf8(passphrase.normalize('NFKC')), hexToBytes(salt) as Bytes, 32, {
    N: n,
    r,
    p,
    maxmem: 128 * n * r + 128 * r * p + 2 ** 20,
  });
}

/**
 * Seals a seed; the result is the text of the key file (write it with mode 0600).
 *
 * @throws KEYSTORE_PASSPHRASE_EMPTY, CRYPTO_KEY_INVALID, KEYSTORE_COST_REFUSED
 */
export function sealKeystore(
  seed: Bytes,
  passphrase: string,
  randomness: Randomness,
  cost: ScryptCost = KEYSTORE_COST,
): string {
  checkCost(cost);
  const { account, publicKey } = keyPairFromSeed(seed);
  const header: KeystoreHeader = {
    kind: KIND,
    version: VERSION,
    account: formatAccount(account),
    publicKey,
    kdf: { name: 'scrypt', salt: bytesToHex(randomness.bytes(SALT_BYTES)), ...cost },
    cipher: { name: 'aes-256-gcm', nonce: bytesToHex(randomness.bytes(NONCE_BYTES)) },
  };
  const key = deriveKey(passphrase, header);
  const nonce = hexToBytes(header.cipher.nonce) as Bytes;
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(headerBytes(header));
  const sealed = cipher.update(seed, undefined, 'hex') + cipher.final('hex');
  const withTag = sealed + cipher.getAuthTag().toString('hex');
  const file: Keystore = { ...header, sealed: withTag, checksum: checksumOf(header, withTag) };
  return `${JSON.stringify(file, null, 2)}\n`;
}

type Fields = Readonly<Record<string, unknown>>;

const corrupt = (what: string, cause?: unknown) => cryptoError('KEYSTORE_CORRUPT', what, { cause });

function fieldsOf(value: unknown, names: readonly string[], where: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw corrupt(`${where} is not an object`);
  const found = Object.keys(value).sort().join(' ');
  if (found !== [...names].sort().join(' ')) throw corrupt(`${where} has other fields`);
  return value as Fields;
}

function hexField(value: unknown, length: number, where: string): string {
  if (typeof value !== 'string' || hexToBytes(value)?.length !== length)
    throw corrupt(`${where} is not ${length} bytes in hex`);
  return value;
}

function parseKeystore(text: string): Keystore {
  if (text.length > TEXT_MAX_CHARACTERS) throw corrupt('the file is too long to be a key file');
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw corrupt('the file is not complete JSON', cause);
  }
  const { kind, version } = (parsed ?? {}) as Fields;
  if (kind !== KIND) throw corrupt('the file is not a key file of Seele');
  if (version !== VERSION)
    throw cryptoError('KEYSTORE_UNSUPPORTED', `key file of version ${String(version)}`);
  const names = 'kind version account publicKey kdf cipher sealed checksum'.split(' ');
  const file = fieldsOf(parsed, names, 'the file');
  const kdf = fieldsOf(file.kdf, ['name', 'salt', 'n', 'r', 'p'], 'kdf');
  const cipher = fieldsOf(file.cipher, ['name', 'nonce'], 'cipher');
  if (kdf.name !== 'scrypt' || cipher.name !== 'aes-256-gcm')
    throw cryptoError('KEYSTORE_UNSUPPORTED', 'unknown key derivation or cipher');
  hexField(kdf.salt, SALT_BYTES, 'kdf.salt');
  hexField(cipher.nonce, NONCE_BYTES, 'cipher.nonce');
  hexField(file.publicKey, 33, 'publicKey');
  hexField(file.sealed, SEED_BYTES + TAG_BYTES, 'sealed');
  hexField(file.checksum, 32, 'checksum');
  if (typeof file.account !== 'string') throw corrupt('account is not text');
  checkCost(kdf as unknown as ScryptCost);
  return parsed as Keystore;
}

/** Whose key a file holds, without opening it. @throws KEYSTORE_CORRUPT, KEYSTORE_UNSUPPORTED */
export function keystoreOwner(text: string): {
  readonly account: string;
  readonly publicKey: string;
} {
  const { account, publicKey } = parseKeystore(text);
  return { account, publicKey };
}

/**
 * Opens a key file.
 *
 * @throws KEYSTORE_PASSPHRASE_WRONG when the file is whole but the passphrase does not fit
 * @throws KEYSTORE_CORRUPT, KEYSTORE_UNSUPPORTED, KEYSTORE_COST_REFUSED, KEYSTORE_PASSPHRASE_EMPTY
 */
export function openKeystore(text: string, passphrase: string): KeyPair {
  const file = parseKeystore(text);
  if (checksumOf(file, file.sealed) !== file.checksum)
    throw corrupt('the checksum does not match the contents');
  const key = deriveKey(passphrase, file);
  const sealed = hexToBytes(file.sealed) as Bytes;
  const nonce = hexToBytes(file.cipher.nonce) as Bytes;
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(headerBytes(file));
  decipher.setAuthTag(sealed.subarray(SEED_BYTES));
  let seed: Bytes;
  try {
    const opened = decipher.update(sealed.subarray(0, SEED_BYTES));
    decipher.final();
    seed = Uint8Array.from(opened);
  } catch {
    throw cryptoError('KEYSTORE_PASSPHRASE_WRONG', `the passphrase does not open ${file.account}`);
  }
  const pair = keyPairFromSeed(seed);
  if (pair.publicKey !== file.publicKey)
    throw corrupt('the key inside is not the one named outside');
  return pair;
}
