/**
 * Keystores as files: `$SEELE_HOME/keys/<name>.json`, mode 0600, replaced atomically. On a machine
 * that only develops, the passphrase is a random one in `$SEELE_HOME/keys/passphrase`.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { type KeyPair, generateKeyPair, openKeystore, sealKeystore } from '#libs/crypto';
import { utf8Decode } from '#libs/kernel';
import { platformError } from './errors.ts';
import { readPrivateFile, writePrivateFile } from './private-files.ts';
import { createSystemRandomness } from './system-ports.ts';

const NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/;

/** Path of a named key. @throws PLATFORM_SETTINGS_INVALID when the name could leave the directory */
export function keystorePath(home: string, name: string): string {
  if (!NAME.test(name))
    throw platformError(
      'PLATFORM_SETTINGS_INVALID',
      `${JSON.stringify(name)} is not a key name: lower-case letters, digits, dot, dash, underscore`,
    );
  return join(home, 'keys', `${name}.json`);
}

/**
 * The passphrase of this home's keys: what is given (SEELE_PASSPHRASE), else the one kept in
 * `keys/passphrase`, else a new random one kept there.
 *
 * @throws PLATFORM_SECRET_LOOSE when others can read the kept one
 */
export async function homePassphrase(home: string, given?: string): Promise<string> {
  if (given !== undefined && given !== '') return given;
  const path = join(home, 'keys', 'passphrase');
  const kept = await readPrivateFile(path);
  if (kept !== undefined) return utf8Decode(kept).trim();
  const made = randomBytes(24).toString('base64url');
  await writePrivateFile(path, `${made}\n`);
  return made;
}

/**
 * Opens a keystore file.
 *
 * @throws PLATFORM_FILE_UNREADABLE when there is none, PLATFORM_SECRET_LOOSE, KEYSTORE_CORRUPT,
 *   KEYSTORE_PASSPHRASE_WRONG
 */
export async function readKeystoreFile(path: string, passphrase: string): Promise<KeyPair> {
  const sealed = await readPrivateFile(path);
  if (sealed === undefined)
    throw platformError('PLATFORM_FILE_UNREADABLE', `there is no key at ${path}`);
  return openKeystore(utf8Decode(sealed), passphrase);
}

/** Seals a key into a file, replacing what was there. */
export async function writeKeystoreFile(
  path: string,
  keys: KeyPair,
  passphrase: string,
): Promise<void> {
  await writePrivateFile(path, sealKeystore(keys.seed, passphrase, createSystemRandomness()));
}

/** Opens the named key of a home, making it the first time. */
export async function ensureHomeKey(
  home: string,
  name: string,
  passphrase: string,
): Promise<KeyPair> {
  const path = keystorePath(home, name);
  if ((await readPrivateFile(path)) !== undefined) return readKeystoreFile(path, passphrase);
  const keys = generateKeyPair(createSystemRandomness());
  await writeKeystoreFile(path, keys, passphrase);
  return keys;
}
