/** `seele data add|list`: from a file, a folder or a table to a recorded version. */
import { basename, extname, join, resolve } from 'node:path';
import {
  type DataMode,
  type DescribeFile,
  type OwnerStore,
  type Proposal,
  type StoredDataset,
  datasetPath,
  datasetUai,
  describeFile,
  draftDescribeFile,
  isDatasetName,
  isTableUrl,
  parseTableUrl,
  openSource,
  parseDescribeFile,
  proposalOf,
} from '#libs/data';
import { createSigner } from '#libs/crypto';
import { utf8Decode } from '#libs/kernel';
import { cliError } from '../errors.ts';
import type { CommandContext } from '../frame/command.ts';
import { type DataServices, dataFolder, openDataHome, openOwnerStore } from '../frame/data-home.ts';
import { readUserFile, writeUserFile } from '../frame/files.ts';
import { openAccount } from '../frame/keys.ts';
import type { Json } from '../frame/output.ts';
import { formatBytes, tableLines } from '../frame/table.ts';

interface DataAddOptions extends DataServices {
  readonly name?: string;
  readonly from?: string;
  readonly describe?: string;
  readonly draft?: string;
  readonly mode?: string;
  readonly perColumn?: boolean;
  readonly encryptTo?: readonly string[];
  readonly yes?: boolean;
  readonly [name: string]: unknown;
}

function nameOf(source: string, given: string | undefined): string {
  if (given !== undefined) return given;
  const last = isTableUrl(source)
    ? parseTableUrl(source).table
    : basename(resolve(source), extname(source));
  const name = last
    .toLowerCase()
    .replaceAll(/[^a-z0-9._-]+/g, '-')
    .replace(/^[^a-z0-9]+/, '');
  if (isDatasetName(name)) return name;
  throw cliError('CLI_USAGE', `"${last}" gives no name of a dataset: choose one with --name`);
}

/** @throws CLI_USAGE for an address of anything but a table */
function sourceOf(given: string): string {
  if (isTableUrl(given)) return given;
  if (/^[a-z][a-z0-9+.-]+:\/\//i.test(given))
    throw cliError(
      'CLI_USAGE',
      `${given} is an address: only tables are read from one (postgresql://…); fetch the file, then add it`,
    );
  return resolve(given);
}

/** @throws CLI_FILE: an empty file or folder is a mistake more often than a dataset */
function requireContent(given: string, { files, sizeBytes }: Proposal): void {
  if (files === 0) throw cliError('CLI_FILE', `${given} holds no file to describe`);
  if (sizeBytes === 0)
    throw cliError('CLI_FILE', `${given} is empty: there is nothing in it to describe`);
}

function modeOf(text: string | undefined, say: DescribeFile, before?: DataMode): DataMode {
  const mode = text ?? say.mode ?? before ?? 'ipfs';
  if (mode === 'ipfs' || mode === 'metadata-only') return mode;
  throw cliError('CLI_USAGE', `--mode is ipfs or metadata-only, not "${mode}"`);
}

/** What the file says, with the readers that the command line names. */
function sayOf({ describe, encryptTo = [] }: DataAddOptions, before?: DescribeFile): DescribeFile {
  const file =
    describe === undefined
      ? (before ?? {})
      : parseDescribeFile(utf8Decode(readUserFile(describe)), describe);
  const recipients = [...new Set([...(file.recipients ?? []), ...encryptTo])];
  return describeFile.parse(recipients.length === 0 ? file : { ...file, recipients });
}

const percent = (ratio: number): string => `${Math.round(ratio * 1000) / 10} %`;

function showProposal({ output }: CommandContext, proposal: Proposal): void {
  const { files, rows, sizeBytes, formats, columns, publicParts, faults, facts } = proposal;
  const kinds = [...new Set(formats)].join(', ');
  const size = `${files === 1 ? kinds : `${files} files (${kinds})`}, ${formatBytes(sizeBytes)}`;
  // An image or a document has none, and that is no news.
  output.line(columns.length === 0 && rows === 0 ? size : `${size}, ${rows} rows`);
  if (proposal.temporal)
    output.line(`  from ${proposal.temporal.start} to ${proposal.temporal.end}`);
  for (const [name, fact] of Object.entries(facts)) output.line(`  ${name}: ${fact}`);
  if (columns.length > 0) output.line();
  const header = ['column', 'type', 'missing', 'range', 'public', 'stays private because'];
  const lines = columns.map((column) => [
    column.name,
    column.datatype,
    percent(column.nullRatio),
    column.minimum === undefined ? '' : `${column.minimum} … ${column.maximum}`,
    column.visibility === 'private'
      ? 'no'
      : column.statistics === 'public'
        ? 'with figures'
        : 'name, type',
    column.veto ?? '',
  ]);
  if (columns.length > 0) for (const line of tableLines(header, lines)) output.line(line);
  output.line();
  output.line(
    'Public: title, description, publisher, version, offer, how it is stored and encrypted.',
  );
  output.line(`Public besides: ${publicParts.length === 0 ? 'nothing' : publicParts.join(', ')}.`);
  for (const { kind, count, places } of faults)
    output.line(`Fault: ${kind}, ${count} times (${places.join(', ')})`);
  for (const name of proposal.unknownColumns)
    output.line(`The description names a column that is not there: ${name}`);
}

export async function dataAdd(
  context: CommandContext,
  options: DataAddOptions,
  given: string,
): Promise<void> {
  const { home, output } = context;
  modeOf(options.mode, {});
  const name = nameOf(given, options.name);
  const source = sourceOf(given);
  const owner = openOwnerStore(home);
  const scratch = join(dataFolder(home), 'scratch');
  output.status('looking at it…');
  try {
    const opened = await openSource(source, scratch);
    try {
      const before = owner.findDataset(name);
      const say = sayOf(options, before?.settings.say);
      const proposal = proposalOf(opened.extracted.profile, say);
      output.status('');
      requireContent(given, proposal);
      if (options.draft !== undefined) {
        writeUserFile(options.draft, draftDescribeFile(name, proposal));
        return output.answer({ draft: options.draft, proposal: proposal as unknown as Json }, () =>
          output.line(`Written to ${options.draft}; nothing was published.`),
        );
      }
      if (options.yes !== true)
        return output.answer(
          { name, proposal: proposal as unknown as Json, published: false },
          () => {
            showProposal(context, proposal);
            output.line('Nothing was published: --describe FILE changes it, --yes takes it.');
          },
        );
      await publishNow(context, options, owner, { name, source, say, before, opened, proposal });
    } finally {
      await opened.close();
    }
  } finally {
    owner.close();
  }
}

interface ToPublish {
  readonly name: string;
  readonly source: string;
  readonly say: DescribeFile;
  readonly before: StoredDataset | undefined;
  readonly opened: Awaited<ReturnType<typeof openSource>>;
  readonly proposal: Proposal;
}

async function publishNow(
  context: CommandContext,
  options: DataAddOptions,
  owner: OwnerStore,
  { name, source, say, before, opened, proposal }: ToPublish,
): Promise<void> {
  const { home, output } = context;
  const mode = modeOf(options.mode, say, before?.settings.mode);
  const account = before?.account ?? options.from ?? 'default';
  const { data, node } = openDataHome(context, owner, account, options, mode === 'ipfs');
  const { chainName } = await node.genesis();
  const signer = createSigner(openAccount(home, account).seed);
  const dataset: StoredDataset = {
    ...{ name, account, path: datasetPath(name) },
    uai: before?.uai ?? datasetUai(chainName, signer.account, name),
    settings: {
      source,
      mode,
      say,
      perColumn: options.perColumn ?? before?.settings.perColumn ?? false,
    },
  };
  owner.putDataset(dataset);
  output.status(mode === 'ipfs' ? 'encrypting, storing, recording…' : 'recording…');
  const outcome = await data.publish(dataset, opened);
  output.status('');
  const { version, sequence, height, publicHash, completeHash, publicCid } =
    outcome.is === 'recorded' ? outcome.version : outcome.latest;
  const vetoed = outcome.is === 'recorded' ? outcome.vetoed : [];
  const document = {
    ...{ name, uai: dataset.uai, mode, published: outcome.is === 'recorded', version, sequence },
    ...{ publicHash, completeHash, vetoed },
    ...(height !== undefined && { height }),
    ...(publicCid !== undefined && { publicCid }),
    proposal: proposal as unknown as Json,
  };
  output.answer(document, () => {
    showProposal(context, proposal);
    if (outcome.is === 'unchanged')
      return output.line(`Version ${version} says all of this already: nothing new was recorded.`);
    for (const column of vetoed) output.line(`Stayed private although asked for: ${column}`);
    output.line(dataset.uai);
    output.line(`  version ${version} recorded in block ${height}`);
  });
}

export async function dataList(context: CommandContext): Promise<void> {
  const { home, output } = context;
  const owner = openOwnerStore(home);
  try {
    const rows = owner.datasets().map((dataset) => {
      const latest = owner.latest(dataset);
      const { version = '', state = 'none', sequence = 0 } = latest ?? {};
      return { name: dataset.name, uai: dataset.uai, version, sequence, state };
    });
    output.answer({ datasets: rows }, () => {
      if (rows.length === 0) return output.line('No dataset yet: seele data add PATH');
      const cells = rows.map((row) => [row.name, row.version, row.state, row.uai]);
      for (const line of tableLines(['name', 'version', 'state', 'uai'], cells)) output.line(line);
    });
  } finally {
    owner.close();
  }
}
