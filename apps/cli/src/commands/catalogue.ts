/** `seele data search|show|versions|diff`: the catalogue of a market. */
import { PREFIXES } from '#libs/mdds';
import {
  type CatalogueEntryDocument,
  type CatalogueQuery,
  type DirectoryFormat,
  type VersionChoice,
  createCatalogueClient,
} from '#libs/sdk';
import { cliError } from '../errors.ts';
import { type CommandContext, wholeNumber } from '../frame/command.ts';
import { serviceUrl } from '../frame/connect.ts';
import { openOwnerStore } from '../frame/data-home.ts';
import type { Json } from '../frame/output.ts';
import { formatBytes, shorten, tableLines } from '../frame/table.ts';

interface CatalogueOptions {
  readonly market?: string;
  readonly [name: string]: unknown;
}

export interface SearchOptions extends CatalogueOptions {
  readonly keyword: readonly string[];
  readonly theme: readonly string[];
  readonly column: readonly string[];
  readonly mediaType: readonly string[];
  readonly mechanism: readonly string[];
  readonly purpose: readonly string[];
  readonly publisher: readonly string[];
  readonly maxPrice?: string;
  readonly place?: string;
  readonly since?: string;
  readonly until?: string;
  readonly limit: string;
  readonly offset: string;
  readonly facets?: boolean;
}

export interface DiffOptions extends CatalogueOptions {
  readonly all?: boolean;
}

export interface ShowOptions extends CatalogueOptions {
  readonly version?: string;
  readonly reader?: string;
  readonly format?: string;
}

const FORMATS: readonly DirectoryFormat[] = [
  'turtle',
  'n-quads',
  'json-ld',
  'schema.org',
  'croissant',
];

const connect = (context: CommandContext, { market }: CatalogueOptions) =>
  createCatalogueClient({ url: serviceUrl(context, 'market', market) });

/**
 * An address as it is, or that of a dataset of this home by its name.
 * @throws CLI_USAGE
 */
function uaiOf({ home }: CommandContext, given: string): string {
  if (given.includes('://')) return given;
  const owner = openOwnerStore(home);
  try {
    const own = owner.datasets().find(({ name }) => name === given);
    if (own !== undefined) return own.uai;
  } finally {
    owner.close();
  }
  throw cliError(
    'CLI_USAGE',
    `"${given}" is neither the address of a dataset (chain://…, as seele data search shows) nor the name of one of this home`,
  );
}

const NUMBER = String.raw`-?\d+(\.\d+)?`;
/** How single values are written; the market names them as its API does, people know the option. */
const WRITTEN = {
  maxPrice: { option: '--max-price', pattern: /^\d+(\.\d+)?$/, as: 'an amount, such as 12.5' },
  place: {
    option: '--place',
    pattern: new RegExp(`^${NUMBER}(,${NUMBER}){3}$`),
    as: 'west,south,east,north in degrees',
  },
  since: { option: '--since', pattern: /^\d{4}-\d\d-\d\d/, as: 'a day, such as 2026-01-31' },
  until: { option: '--until', pattern: /^\d{4}-\d\d-\d\d/, as: 'a day, such as 2026-01-31' },
} as const;

/** @throws CLI_USAGE when an option is not written as it must be */
export function queryOf(options: SearchOptions, words: readonly string[]): CatalogueQuery {
  for (const [name, { option, pattern, as }] of Object.entries(WRITTEN)) {
    const value = options[name as keyof typeof WRITTEN];
    if (value !== undefined && !pattern.test(value))
      throw cliError('CLI_USAGE', `${option} is ${as}, not "${value}"`);
  }
  // A word of the shell with a space in it was quoted: a phrase.
  const text = words.map((word) => (/\s/.test(word) ? `"${word}"` : word)).join(' ');
  const { maxPrice, place, since, until, limit, offset } = options;
  const single = { maxPrice, place, from: since, to: until };
  const { keyword, theme, column, mediaType, mechanism, purpose, publisher } = options;
  const facets = { keyword, theme, column, mediaType, mechanism, purpose, publisher };
  return {
    ...(text !== '' && { text }),
    ...Object.fromEntries(Object.entries(single).filter(([, value]) => value !== undefined)),
    ...Object.fromEntries(Object.entries(facets).filter(([, values]) => values.length > 0)),
    limit: wholeNumber('--limit', limit, 1),
    offset: wholeNumber('--offset', offset),
    ...(options.facets === true && { facets: 'true' }),
  };
}

function entryLines(entry: CatalogueEntryDocument): string[] {
  const { title, uai, price, version, mediaTypes, columns, byteSize } = entry;
  const facts = [
    `version ${version}`,
    ...(price === undefined ? [] : [`${price} for a use`]),
    ...mediaTypes,
    ...(byteSize === undefined ? [] : [formatBytes(byteSize)]),
    ...(columns.length === 0 ? [] : [`columns ${columns.map(({ name }) => name).join(', ')}`]),
  ];
  return [title, `  ${uai}`, `  ${facts.join(' · ')}`];
}

export async function searchDatasets(
  context: CommandContext,
  options: SearchOptions,
  ...words: string[]
): Promise<void> {
  const { output } = context;
  const result = await connect(context, options).search(queryOf(options, words));
  output.answer(result as unknown as Json, () => {
    if (result.items.length === 0) output.line('nothing found');
    for (const entry of result.items) for (const line of entryLines(entry)) output.line(line);
    if (result.found > result.items.length || result.atLeast) {
      const count = `${result.atLeast ? 'at least ' : ''}${result.found}`;
      output.line(`${result.items.length} of ${count}`);
    }
    for (const [facet, counts] of Object.entries(result.facets ?? {})) {
      const shown = counts.map(({ value, datasets }) => `${value} (${datasets})`);
      if (shown.length > 0) output.line(`${facet}: ${shown.join(', ')}`);
    }
  });
}

function choiceOf({ version, reader }: ShowOptions): VersionChoice {
  return {
    ...(version !== undefined && { sequence: wholeNumber('--version', version, 1) }),
    ...(reader !== undefined && { reader }),
  };
}

export async function showDataset(
  context: CommandContext,
  options: ShowOptions,
  given: string,
): Promise<void> {
  const { output } = context;
  const uai = uaiOf(context, given);
  const catalogue = connect(context, options);
  if (options.format !== undefined) {
    const format = FORMATS.find((each) => each === options.format);
    if (!format)
      throw cliError('CLI_USAGE', `--format ${options.format} is none of ${FORMATS.join(', ')}`);
    const text = await catalogue.document(uai, format, choiceOf(options));
    return output.answer({ uai, format, document: text }, () => output.line(text.trimEnd()));
  }
  const shown = await catalogue.show(uai, choiceOf(options));
  output.answer(shown as unknown as Json, () => {
    const { entry, version, owner, endpoint, withdrawn, latest } = shown;
    for (const line of entry ? entryLines(entry) : [uai]) output.line(line);
    if (entry?.description) output.line(`  ${entry.description}`);
    output.line(`  owner ${owner}${endpoint === undefined ? '' : `, served at ${endpoint}`}`);
    output.line(
      `  version ${version.sequence} of ${latest}, in block ${version.height}, ${version.recordedAt}`,
    );
    output.line(`  commits to ${version.quadCount} statements by ${version.quadRoot}`);
    if (withdrawn) output.line('  withdrawn: its owner offers it no more');
    if (version.problem !== undefined) output.line(`  not shown: ${version.problem}`);
  });
}

export async function listVersions(
  context: CommandContext,
  options: CatalogueOptions,
  given: string,
): Promise<void> {
  const { output } = context;
  const uai = uaiOf(context, given);
  const versions = await connect(context, options).versions(uai);
  output.answer(versions as unknown as Json, () => {
    const rows = versions.items.map((version) => [
      String(version.sequence),
      version.version,
      version.recordedAt,
      version.problem ?? rolloutText(version),
      shorten(version.publicHash),
    ]);
    const head = ['number', 'version', 'recorded', 'readers', 'hash'];
    for (const line of tableLines(head, rows, ['right'])) output.line(line);
  });
}

function rolloutText({
  rollout,
  fallback,
}: {
  readonly rollout: readonly { readonly percent: number; readonly activationHeight: number }[];
  readonly fallback?: number;
}): string {
  if (rollout.length === 0) return 'all';
  const steps = rollout.map(
    ({ percent, activationHeight }) => `${percent} % from block ${activationHeight}`,
  );
  return `${steps.join(', ')}${fallback === undefined ? '' : `, others ${fallback}`}`;
}

/** A canonical line for people: known prefixes for IRIs, and what belongs to the dataset without its UAI. */
function readable(line: string, uai: string): string {
  return line.replace(/<([^<>]*)>/g, (whole, iri: string) => {
    if (iri === uai) return '<>';
    if (iri.startsWith(`${uai}/`)) return `<${iri.slice(uai.length + 1)}>`;
    const prefix = Object.entries(PREFIXES).find(([, full]) => iri.startsWith(full));
    return prefix ? `${prefix[0]}:${iri.slice(prefix[1].length)}` : whole;
  });
}

export async function diffVersions(
  context: CommandContext,
  options: DiffOptions,
  given: string,
  from?: string,
  to?: string,
): Promise<void> {
  const { output } = context;
  const uai = uaiOf(context, given);
  const number = (name: string, text: string | undefined) =>
    text === undefined ? undefined : wholeNumber(name, text, 1);
  const difference = await connect(context, options).diff(
    uai,
    number('[from]', from),
    number('[to]', to),
  );
  output.answer(difference as unknown as Json, () => {
    output.line(`version ${difference.from} → ${difference.to}`);
    // Each version has records of its own, which say nothing about the data.
    const isRecord = (line: string) => line.startsWith(`<${uai}/directories/`);
    const marked = [
      ...difference.removed.map((line) => ['-', line] as const),
      ...difference.added.map((line) => ['+', line] as const),
    ];
    const shown = marked.filter(([, line]) => options.all === true || !isRecord(line));
    for (const [mark, line] of shown) output.line(`${mark} ${readable(line, uai)}`);
    const hidden = marked.length - shown.length;
    if (hidden > 0) output.line(`and ${hidden} statements of the versions’ own records (--all)`);
  });
}
