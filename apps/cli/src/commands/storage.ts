/** `seele storage put|get|key`: content in and out, every block checked, encrypted when asked. */
import { createReadStream, createWriteStream, statSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  type BlobStore,
  createX25519KeyUnwrap,
  createX25519KeyWrap,
  type EncryptionKeyPair,
  encryptionKeyPairFromSeed,
  formatEncryptionKey,
  isSealedCid,
  openSealed,
  parseEncryptionKey,
  pullContent,
  sealBlob,
} from '#libs/storage';
import { createSystemRandomness } from '#libs/platform';
import { cliError } from '../errors.ts';
import { type CommandContext, wholeNumber } from '../frame/command.ts';
import { connectStorage, storageEndpoint } from '../frame/connect.ts';
import { openAccount } from '../frame/keys.ts';
import { bar, formatBytes } from '../frame/table.ts';

export interface StorageOptions {
  readonly storage?: string;
  readonly token?: string;
  readonly out?: string;
  readonly max?: string;
  /** Account of this home whose encryption key opens and is always among the recipients. */
  readonly from?: string;
  readonly encryptTo?: readonly string[];
  readonly path?: string;
  readonly source?: string;
}

const DEFAULT_ACCOUNT = 'default';

function encryptionKeyOf(context: CommandContext, name = DEFAULT_ACCOUNT): EncryptionKeyPair {
  return encryptionKeyPairFromSeed(openAccount(context.home, name).seed);
}

/** Prints the key that others encrypt to. */
export async function storageKey(context: CommandContext, options: StorageOptions): Promise<void> {
  const account = options.from ?? DEFAULT_ACCOUNT;
  const key = formatEncryptionKey(encryptionKeyOf(context, account).publicKey);
  context.output.answer({ account, key }, () => context.output.line(key));
}

/** Public keys to encrypt to: `x25519:…`, or the name of an account of this home; and one's own. */
function recipientKeys(context: CommandContext, options: StorageOptions): readonly Uint8Array[] {
  const keys = (options.encryptTo ?? []).map((who) =>
    who.startsWith('x25519:') ? parseEncryptionKey(who) : encryptionKeyOf(context, who).publicKey,
  );
  const own = encryptionKeyOf(context, options.from).publicKey;
  const all = new Map([own, ...keys].map((key) => [formatEncryptionKey(key), key]));
  return [...all.values()];
}

async function* counted(
  { output }: CommandContext,
  chunks: AsyncIterable<Uint8Array>,
  total: number | undefined,
): AsyncGenerator<Uint8Array> {
  let seen = 0;
  for await (const chunk of chunks) {
    seen += chunk.length;
    const share = total === undefined ? '' : `${bar(total === 0 ? 1 : seen / total)} `;
    output.status(`${share}${formatBytes(seen)}`);
    yield chunk;
  }
  output.status('');
}

export async function storagePut(
  context: CommandContext,
  options: StorageOptions,
  file: string,
): Promise<void> {
  const stats = statSync(file, { throwIfNoEntry: false });
  if (!stats?.isFile()) throw cliError('CLI_FILE', `cannot read ${file} (not a file)`);
  const store = connectStorage(context, options);
  const source = counted(context, createReadStream(file), stats.size);
  if ((options.encryptTo ?? []).length === 0) {
    const { cid, sizeBytes } = await store.put(source, { signal: context.signal });
    return context.output.answer({ cid, sizeBytes }, () => context.output.line(cid));
  }
  const randomness = createSystemRandomness();
  const keys = recipientKeys(context, options);
  const { cid, sizeBytes, content } = await sealBlob(store, source, {
    recipients: keys.map((key) => createX25519KeyWrap(key, randomness)),
    randomness,
    signal: context.signal,
  });
  context.output.answer(
    { cid, sizeBytes, content, recipients: keys.map(formatEncryptionKey) },
    () => context.output.line(cid),
  );
}

/** Lets the own storage fetch content from another one. */
export async function storageFetch(
  context: CommandContext,
  options: StorageOptions,
  cid: string,
): Promise<void> {
  const { output, signal } = context;
  const source = options.source ?? '';
  const totals = await pullContent(cid, {
    ...storageEndpoint(context, options),
    source,
    signal,
    progress: ({ bytes }) => output.status(formatBytes(bytes)),
  });
  output.status('');
  output.answer({ cid, source, ...totals }, () =>
    output.line(`${cid} (${formatBytes(totals.bytes)} in ${totals.blocks} blocks)`),
  );
}

/** Content as it was put; what is encrypted is opened with the own key. */
async function contentOf(
  context: CommandContext,
  options: StorageOptions,
  store: BlobStore,
  cid: string,
  maxBytes: number,
): Promise<AsyncIterable<Uint8Array>> {
  const limits = { maxBytes, signal: context.signal };
  if (!isSealedCid(cid)) return store.get(cid, limits);
  const reader = createX25519KeyUnwrap(encryptionKeyOf(context, options.from).secret);
  const sealed = await openSealed(store, cid, [reader], { signal: context.signal });
  if (sealed.kind === 'blob') return sealed.read(limits);
  if (options.path !== undefined) return sealed.read(options.path, limits);
  const names = sealed.files.slice(0, 5).map(({ path }) => path);
  throw cliError(
    'CLI_USAGE',
    `${cid} is a folder of ${sealed.files.length} files (${names.join(', ')}…): name one with --path`,
  );
}

export async function storageGet(
  context: CommandContext,
  options: StorageOptions,
  cid: string,
): Promise<void> {
  const maxBytes = wholeNumber('--max', options.max ?? '0', 1);
  if (context.output.json && options.out === undefined)
    throw cliError('CLI_USAGE', 'with --json say where the content goes: --out FILE');
  const store = connectStorage(context, options);
  const given = await contentOf(context, options, store, cid, maxBytes);
  const content = counted(context, given, undefined);
  if (options.out === undefined) {
    await pipeline(Readable.from(content), process.stdout, { end: false });
    return;
  }
  const beside = `${options.out}.part`;
  try {
    await pipeline(Readable.from(content), createWriteStream(beside));
    await rename(beside, options.out);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
  const { out } = options;
  const sizeBytes = statSync(out).size;
  context.output.answer({ cid, file: out, sizeBytes }, () =>
    context.output.line(`${out} (${formatBytes(sizeBytes)})`),
  );
}
