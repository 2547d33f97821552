/** `seele data grant|revoke|serve|fetch`: data that stays with its owner, read by signed grants. */
import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  type StoredDataset,
  createChainRecorder,
  fetchData,
  newGrantId,
  readGrant,
  serveData,
  signGrant,
} from '#libs/data';
import { formatAccount, utf8Decode } from '#libs/kernel';
import { createSystemClock, createSystemRandomness } from '#libs/platform';
import { createNodeClient } from '#libs/sdk';
import { cliError } from '../errors.ts';
import { type CommandContext, wholeNumber } from '../frame/command.ts';
import { accountNamed, accountNames, serviceUrl, signerOf } from '../frame/connect.ts';
import { type DataServices, dataFolder, openOwnerStore } from '../frame/data-home.ts';
import { readUserFile, writeUserFile } from '../frame/files.ts';
import { formatBytes } from '../frame/table.ts';

interface GrantOptions extends DataServices {
  readonly to?: string;
  readonly purpose?: string;
  readonly uses?: string;
  readonly days?: string;
  readonly out?: string;
  readonly [name: string]: unknown;
}

const times = (count: number): string => (count === 1 ? 'once' : `${count} times`);
const DAY_US = 86_400_000_000;

function recorderOf(context: CommandContext, { account }: StoredDataset, { node }: DataServices) {
  const client = createNodeClient(serviceUrl(context, 'node', node));
  return createChainRecorder(client, signerOf(context.home, account));
}

export async function dataGrant(
  context: CommandContext,
  options: GrantOptions,
  name: string,
): Promise<void> {
  const { home, output } = context;
  const uses = wholeNumber('--uses', options.uses ?? '1', 1);
  const days = wholeNumber('--days', options.days ?? '30', 1);
  const owner = openOwnerStore(home);
  try {
    const dataset = owner.dataset(name);
    if (dataset.settings.mode === 'ipfs')
      throw cliError(
        'CLI_USAGE',
        `${name} lies encrypted in storage: who reads it is said by --encrypt-to or recipients when it is added; grants are for data that stays here (--mode metadata-only)`,
      );
    const { latest = 0, grantEpoch = 0 } =
      (await recorderOf(context, dataset, options).dataset(dataset.path)) ?? {};
    if (latest === 0) throw cliError('CLI_USAGE', `${name} is not on the chain yet`);
    const untilUs = createSystemClock().nowUs() + days * DAY_US;
    const grant = signGrant(signerOf(home, dataset.account), {
      ...{ id: newGrantId(createSystemRandomness()), path: dataset.path, epoch: grantEpoch },
      ...{ reader: accountNamed(home, options.to ?? ''), purpose: options.purpose ?? '' },
      ...{ uses, untilUs },
    });
    if (options.out !== undefined) writeUserFile(options.out, `${grant}\n`);
    const until = new Date(untilUs / 1000).toISOString();
    output.answer({ name, grant, uses, until }, () => {
      if (options.out === undefined) return output.line(grant);
      output.line(`${options.out}: ${options.to} may read ${name} ${times(uses)} until ${until}`);
      output.line(`  give it to them; they read with: seele data fetch ${options.out} --out FILE`);
      output.line('  the data is read from here, while `seele data serve` runs');
    });
  } finally {
    owner.close();
  }
}

export async function dataRevoke(
  context: CommandContext,
  options: DataServices & Readonly<Record<string, unknown>>,
  name: string,
): Promise<void> {
  const owner = openOwnerStore(context.home);
  try {
    const dataset = owner.dataset(name);
    await recorderOf(context, dataset, options).revokeGrants(dataset.path);
    context.output.answer({ name, revoked: true }, () =>
      context.output.line(`All grants for ${name} are void now.`),
    );
  } finally {
    owner.close();
  }
}

interface ServeOptions extends DataServices {
  readonly host?: string;
  readonly port?: string;
  readonly publicUrl?: string;
  readonly announce?: boolean;
  readonly [name: string]: unknown;
}

/** Says on the chain where each dataset that stays here is served, if it says something else. */
async function announce(
  context: CommandContext,
  options: DataServices,
  datasets: readonly StoredDataset[],
  url: string,
): Promise<void> {
  for (const dataset of datasets) {
    const recorder = recorderOf(context, dataset, options);
    const endpoint = `${url}/v1/data/${dataset.name}`;
    const there = await recorder.dataset(dataset.path);
    if (there !== undefined && there.endpoint !== endpoint)
      await recorder.serveAt(dataset.path, endpoint);
    context.output.line(`${dataset.name}: ${endpoint}`);
  }
}

export async function dataServe(context: CommandContext, options: ServeOptions): Promise<void> {
  const { home, output, signal } = context;
  const { host = '127.0.0.1', publicUrl } = options;
  const port = wholeNumber('--port', options.port ?? '0');
  const owner = openOwnerStore(home);
  try {
    const datasets = owner
      .datasets()
      .map(({ name }) => owner.dataset(name))
      .filter(({ settings }) => settings.mode === 'metadata-only');
    const names = accountNames(home);
    const server = await serveData({
      ...{
        owner,
        host,
        port,
        clock: createSystemClock(),
        scratch: join(dataFolder(home), 'scratch'),
      },
      accountOf: ({ account }) => signerOf(home, account).account,
      recorderOf: (dataset) => recorderOf(context, dataset, options),
      onServed: ({ name, reader: account, purpose, use, usesMax }) => {
        const reader = formatAccount(account);
        output.line(
          `${name}: use ${use} of ${usesMax} by ${names.get(reader) ?? reader} (${purpose})`,
        );
      },
      ...(publicUrl !== undefined && { publicUrl: publicUrl.replace(/\/+$/, '') }),
    });
    try {
      if (options.announce !== false) await announce(context, options, datasets, server.url);
      output.line(`Serving at ${server.url}; Ctrl-C ends.`);
      await new Promise<void>((resolve) => {
        signal.addEventListener('abort', () => resolve(), { once: true });
        if (signal.aborted) resolve();
      });
    } finally {
      await server.stop();
    }
    output.answer({ url: server.url, stopped: true }, () => output.line('Stopped.'));
  } finally {
    owner.close();
  }
}

interface FetchOptions extends DataServices {
  readonly out?: string;
  readonly file?: string;
  readonly from?: string;
  readonly use?: string;
  readonly range?: string;
  readonly [name: string]: unknown;
}

function rangeOf(text: string | undefined): { start: number; end?: number } | undefined {
  if (text === undefined) return undefined;
  const parts = /^(\d{1,15})-(\d{0,15})$/.exec(text);
  if (parts === null) throw cliError('CLI_USAGE', `--range is FIRST-LAST or FIRST-, not "${text}"`);
  return { start: Number(parts[1]), ...(parts[2] !== '' && { end: Number(parts[2]) }) };
}

export async function dataFetch(
  context: CommandContext,
  options: FetchOptions,
  grantFile: string,
): Promise<void> {
  const { home, output, signal } = context;
  const { out, file, use } = options;
  if (out === undefined) throw cliError('CLI_USAGE', 'say where the data goes: --out FILE');
  const grant = utf8Decode(readUserFile(grantFile)).trim();
  const { path, uses } = readGrant(grant, grantFile);
  const range = rangeOf(options.range);
  const fetched = await fetchData({
    ...{ grant, signal, signer: signerOf(home, options.from ?? 'default') },
    node: createNodeClient(serviceUrl(context, 'node', options.node)),
    ...(file !== undefined && { file }),
    ...(use !== undefined && { use }),
    ...(range && { range }),
  });
  const beside = `${out}.part`;
  try {
    await pipeline(Readable.from(fetched.body), createWriteStream(beside));
    await rename(beside, out);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
  output.answer({ path, out, sizeBytes: fetched.sizeBytes, use: fetched.use, uses }, () =>
    output.line(`${out} (${formatBytes(fetched.sizeBytes)}), use ${fetched.use}`),
  );
}
