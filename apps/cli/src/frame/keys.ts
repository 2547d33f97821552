/**
 * Accounts of this home: one encrypted keystore each, `$SEELE_HOME/keys/<name>.json`. The passphrase
 * is `SEELE_PASSPHRASE`, or, for development, a random one kept beside them with mode 0600.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type KeyPair,
  keyPairFromSeed,
  keystoreOwner,
  openKeystore,
  sealKeystore,
} from '#libs/crypto';
import { cliError } from '../errors.ts';
import type { Home } from './home.ts';

const NAME = /^[a-z0-9][a-z0-9-]{0,39}$/;
const SUFFIX = '.json';
/** A random passphrase of 32 bytes needs no stretching; a person's does (the library's default). */
const RANDOM_PASSPHRASE_COST = { n: 2 ** 12, r: 8, p: 1 };

const randomness = { bytes: (length: number) => new Uint8Array(randomBytes(length)) };

function keyPath(home: Home, name: string): string {
  if (!NAME.test(name))
    throw cliError(
      'CLI_USAGE',
      `"${name}" is not an account name: use lower-case letters, digits and dashes`,
    );
  return join(home.keys, name + SUFFIX);
}

export function passphraseFile(home: Home): string {
  return join(home.keys, 'passphrase');
}

/** @throws CLI_PASSPHRASE when there is none */
export function readPassphrase(home: Home): string {
  const given = process.env['SEELE_PASSPHRASE'];
  if (given !== undefined && given !== '') return given;
  try {
    return readFileSync(passphraseFile(home), 'utf8').trim();
  } catch (error) {
    const where = passphraseFile(home);
    throw cliError('CLI_PASSPHRASE', `SEELE_PASSPHRASE is not set and ${where} is not there`, {
      cause: error,
    });
  }
}

function ensurePassphrase(home: Home): { readonly passphrase: string; readonly random: boolean } {
  const given = process.env['SEELE_PASSPHRASE'];
  if (given !== undefined && given !== '') return { passphrase: given, random: false };
  if (!existsSync(passphraseFile(home)))
    writeFileSync(passphraseFile(home), `${randomBytes(32).toString('hex')}\n`, {
      mode: 0o600,
      flag: 'wx',
    });
  return { passphrase: readPassphrase(home), random: true };
}

/** Makes a keystore. @throws CLI_ACCOUNT_EXISTS, CLI_USAGE */
export function createAccount(home: Home, name: string): KeyPair {
  const path = keyPath(home, name);
  if (existsSync(path)) throw cliError('CLI_ACCOUNT_EXISTS', `${path} is there already`);
  const { passphrase, random } = ensurePassphrase(home);
  const seed = randomness.bytes(32);
  const sealed = random
    ? sealKeystore(seed, passphrase, randomness, RANDOM_PASSPHRASE_COST)
    : sealKeystore(seed, passphrase, randomness);
  writeFileSync(path, sealed, { mode: 0o600, flag: 'wx' });
  return keyPairFromSeed(seed);
}

/** @throws CLI_ACCOUNT_UNKNOWN, CLI_PASSPHRASE, KEYSTORE_… */
export function openAccount(home: Home, name: string): KeyPair {
  const path = keyPath(home, name);
  if (!existsSync(path))
    throw cliError('CLI_ACCOUNT_UNKNOWN', `there is no account "${name}" in ${home.keys}`);
  return openKeystore(readFileSync(path, 'utf8'), readPassphrase(home));
}

/** Opens an account, or makes it when it is not there. */
export function ensureAccount(home: Home, name: string): KeyPair {
  return existsSync(keyPath(home, name)) ? openAccount(home, name) : createAccount(home, name);
}

/** Every account of the home, by name; `seele1…` as the keystore states it. */
export function listAccounts(home: Home): { readonly name: string; readonly address: string }[] {
  let files: string[];
  try {
    files = readdirSync(home.keys).filter((file) => file.endsWith(SUFFIX));
  } catch {
    return [];
  }
  return files.toSorted().map((file) => ({
    name: file.slice(0, -SUFFIX.length),
    address: keystoreOwner(readFileSync(join(home.keys, file), 'utf8')).account,
  }));
}

export function accountFile(home: Home, name: string): string {
  return keyPath(home, name);
}
