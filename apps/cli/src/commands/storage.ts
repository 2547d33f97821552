/** `seele storage put|get`: content in and out, every block checked against its id. */
import { createReadStream, createWriteStream, statSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { cliError } from '../errors.ts';
import { type CommandContext, wholeNumber } from '../frame/command.ts';
import { connectStorage } from '../frame/connect.ts';
import { bar, formatBytes } from '../frame/table.ts';

export interface StorageOptions {
  readonly storage?: string;
  readonly token?: string;
  readonly out?: string;
  readonly max?: string;
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
  const { cid, sizeBytes } = await store.put(source, { signal: context.signal });
  context.output.answer({ cid, sizeBytes }, () => context.output.line(cid));
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
  const content = counted(context, store.get(cid, { maxBytes, signal: context.signal }), undefined);
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
