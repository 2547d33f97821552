/** The verbs of `seele data` for everybody: what datasets there are, and what became of them. */
import type { Command } from 'commander';
import { collect, leaf, runs } from './frame/command.ts';

const market = (command: Command) =>
  command.option('--market <url>', 'market whose catalogue is asked');

/** Options of several values are repeated. */
const FACET_OPTIONS = [
  ['--keyword <text>', 'with this keyword'],
  ['--theme <iri>', 'of this theme'],
  ['--column <name>', 'with a public column of this name'],
  ['--media-type <type>', 'as text/csv'],
  ['--mechanism <name>', 'kept as Ipfs, OnChainMetadataOnly, …'],
  ['--purpose <text>', 'offered for this purpose'],
  ['--publisher <iri>', 'of this publisher'],
] as const;

export function addCatalogueVerbs(data: Command): void {
  const search = market(
    leaf(data, 'search [words...]', {
      summary: 'Find datasets by words, facets, price, place and time',
      examples: [
        'seele data search clinic claims',
        'seele data search "daily claims" --column icd10 --max-price 12.5',
        'seele data search --place 5.9,47.2,15.1,55.1 --since 2026-01-01 --facets',
      ],
    }),
  );
  for (const [flags, help] of FACET_OPTIONS) search.option(flags, help, collect, []);
  search
    .option('--max-price <amount>', 'at most so much for one use')
    .option('--place <w,s,e,n>', 'overlaps with west,south,east,north in degrees')
    .option('--since <date>', 'covers days from this one on')
    .option('--until <date>', 'covers days up to this one')
    .option('--limit <n>', 'at most so many', '20')
    .option('--offset <n>', 'leave out the first', '0')
    .option('--facets', 'also count what there is to narrow the search by');
  runs(search, async () => (await import('./commands/catalogue.ts')).searchDatasets);
  const version = (command: Command) =>
    market(command)
      .option('--version <n>', 'number of the version (default: the one you take)')
      .option('--reader <id>', 'who reads: gradual roll-outs choose the version by it');
  runs(
    version(
      leaf(data, 'show <uai>', {
        summary: 'Show a dataset; --format prints its public directory',
        examples: [
          'seele data show chain://seele/seele1…/claims',
          'seele data show claims',
          'seele data show chain://seele/seele1…/claims --format croissant',
        ],
      }),
    ).option('--format <name>', 'turtle, n-quads, json-ld, schema.org or croissant'),
    async () => (await import('./commands/catalogue.ts')).showDataset,
  );
  runs(
    market(
      leaf(data, 'versions <uai>', {
        summary: 'All versions of a dataset and how far each is rolled out',
        examples: ['seele data versions chain://seele/seele1…/claims'],
      }),
    ),
    async () => (await import('./commands/catalogue.ts')).listVersions,
  );
  runs(
    market(
      leaf(data, 'diff <uai> [from] [to]', {
        summary: 'What two versions say differently (default: the newest and the one before)',
        examples: [
          'seele data diff chain://seele/seele1…/claims',
          'seele data diff chain://seele/seele1…/claims 1 3',
        ],
      }),
    ).option('--all', 'also what the versions’ own records say'),
    async () => (await import('./commands/catalogue.ts')).diffVersions,
  );
}
