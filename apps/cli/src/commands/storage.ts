/** `seele storage put|get|key`: content in and out, every block checked, encrypted when asked. */
import { createReadStream, createWriteStream, statSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  type BlobStore,
  collectGarbage,
  createX25519KeyUnwrap,
  createX25519KeyWrap,
  type EncryptionKeyPair,
  encryptionKeyPairFromSeed,
  exportCar,
  formatEncryptionKey,
  importCar,
  isSealedCid,
  openSealed,
  parseEncryptionKey,
  pullContent,
  sealBlob,
} from '#libs/storage';
import { restoreDeal } from '#libs/deals';
import { createSystemRandomness } from '#libs/platform';
import { cliError } from '../errors.ts';
import { type CommandContext, wholeNumber } from '../frame/command.ts';
import { connectStorage, storageEndpoint } from '../frame/connect.ts';
import { openAccount } from '../frame/keys.ts';
import {
  type DealOptions,
  connectDeals,
  contentOfDeal,
  dealNamed,
  isDealId,
  readWholeDeal,
} from '../frame/storage-deals.ts';
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

/** A file that is whole or not there. Gives its length. */
async function writeBeside(content: AsyncIterable<Uint8Array>, file: string): Promise<number> {
  const beside = `${file}.part`;
  try {
    await pipeline(Readable.from(content), createWriteStream(beside));
    await rename(beside, file);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
  return statSync(file).size;
}

/** Content of a deal, put together in the own storage from whatever shards its providers give. */
async function restored(
  context: CommandContext,
  options: StorageOptions,
  given: string,
): Promise<string> {
  const { output, signal } = context;
  const at = connectDeals(context, options as DealOptions);
  const id = await dealNamed(at, given);
  const whole = await readWholeDeal(at, id);
  const content = await contentOfDeal(at, id);
  return restoreDeal(
    at.blobs,
    { ...whole, content },
    {
      signal,
      lost: (index, error) => output.note(`shard ${index}: ${(error as Error).message}`),
      progress: (bytes) =>
        output.status(`${bar(bytes / content.sizeBytes)} ${formatBytes(bytes)} from providers`),
    },
  );
}

export async function storageGet(
  context: CommandContext,
  options: StorageOptions,
  cid: string,
): Promise<void> {
  const maxBytes = wholeNumber('--max', options.max ?? '0', 1);
  if (isDealId(cid)) return storageGet(context, options, await restored(context, options, cid));
  if (context.output.json && options.out === undefined)
    throw cliError('CLI_USAGE', 'with --json say where the content goes: --out FILE');
  const store = connectStorage(context, options);
  const given = await contentOf(context, options, store, cid, maxBytes);
  const content = counted(context, given, undefined);
  if (options.out === undefined) {
    await pipeline(Readable.from(content), process.stdout, { end: false });
    return;
  }
  const { out } = options;
  const sizeBytes = await writeBeside(content, out);
  context.output.answer({ cid, file: out, sizeBytes }, () =>
    context.output.line(`${out} (${formatBytes(sizeBytes)})`),
  );
}

/** Writes everything that a CID reaches into a CAR file. */
export async function storageExport(
  context: CommandContext,
  options: StorageOptions,
  cid: string,
  file: string,
): Promise<void> {
  const { signal, output } = context;
  const car = exportCar(cid, { ...storageEndpoint(context, options), signal });
  const sizeBytes = await writeBeside(counted(context, car, undefined), file);
  output.answer({ cid, file, sizeBytes }, () => output.line(`${file} (${formatBytes(sizeBytes)})`));
}

/** Takes a CAR file in, every block checked. */
export async function storageImport(
  context: CommandContext,
  options: StorageOptions,
  file: string,
): Promise<void> {
  const { signal, output } = context;
  const stats = statSync(file, { throwIfNoEntry: false });
  if (!stats?.isFile()) throw cliError('CLI_FILE', `cannot read ${file} (not a file)`);
  const source = counted(context, createReadStream(file), stats.size);
  const done = await importCar(source, { ...storageEndpoint(context, options), signal });
  output.answer({ ...done }, () => {
    for (const root of done.roots) output.line(root);
    output.line(`  ${done.blocks} blocks, ${formatBytes(done.bytes)}, each checked`);
  });
}

/** Removes what no pin needs. */
export async function storageGc(context: CommandContext, options: StorageOptions): Promise<void> {
  const { signal, output } = context;
  output.status('collecting …');
  const removed = await collectGarbage({ ...storageEndpoint(context, options), signal });
  output.answer({ removed }, () =>
    output.line(`${removed} blocks removed; what is pinned, in work or young stays`),
  );
}
