/** The commands of docs/catalogue.md on real processes, and what else a consumer of data asks. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type {
  DatasetVersionsDocument,
  DirectoryDifferenceDocument,
  SearchResultDocument,
} from '#libs/sdk';
import { type LocalMachine, startLocalMachine } from '../support/local-machine.ts';

let machine: LocalMachine;
let folder: string;
const page = readFileSync(join(process.cwd(), 'docs/catalogue.md'), 'utf8');
const lines = (/```sh\n([^]*?)```/.exec(page)?.[1] ?? '').trim().split('\n');

/** A line of a page: `seele …` runs in the machine's home, everything else in a shell. */
async function runLine(line: string): Promise<string> {
  if (!line.startsWith('seele '))
    return execFileSync('/bin/sh', ['-c', line], { cwd: folder, encoding: 'utf8' });
  const words = [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(
    ([, quoted, word]) => quoted ?? word ?? '',
  );
  const inFolder = words.map((word) => (/\.(csv|yaml)$/.test(word) ? join(folder, word) : word));
  const { code, stdout, stderr } = await machine.seele(...inFolder.slice(1), '--json');
  expect([line, code, stderr]).toEqual([line, 0, '']);
  return stdout;
}

async function until<T>(ask: () => Promise<T>, holds: (answer: T) => boolean): Promise<T> {
  for (let tries = 0; ; tries++) {
    const answer = await ask();
    if (holds(answer) || tries === 100) return answer;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

const json = async <T>(...args: string[]): Promise<T> => {
  const { code, stdout, stderr } = await machine.seele('data', ...args, '--json');
  expect([code, stderr]).toEqual([0, '']);
  return JSON.parse(stdout) as T;
};
const search = (...args: string[]) => json<SearchResultDocument>('search', ...args);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'seele-catalogue-'));
  machine = await startLocalMachine({ SEELE_MARKET_SPARQL: 'true' });
}, 150_000);
afterAll(async () => {
  await machine?.stop();
  rmSync(folder, { recursive: true, force: true });
});

describe('the catalogue', () => {
  it('finds what the page’s commands published', async () => {
    const [makeData, makeWords, add, ...searches] = lines as [string, string, string, ...string[]];
    for (const line of [makeData, makeWords, add]) await runLine(line);
    await until(
      () => search('clinic'),
      ({ items }) => items.length > 0,
    );
    expect(searches).toHaveLength(2);
    for (const line of searches) {
      const { items, facets } = JSON.parse(await runLine(line)) as SearchResultDocument;
      expect(items.map(({ title }) => title)).toEqual(['Clinic visits']);
      expect(items[0]).toMatchObject({ price: '2.5', columns: [{ name: 'day' }] });
      if (line.includes('--facets'))
        expect(facets?.['keyword']).toEqual([{ value: 'health', datasets: 1 }]);
    }
    expect((await search('clinic', '--max-price', '1')).items).toEqual([]);
  }, 60_000);

  it('keeps old versions, shows what changed, and is harvested with all that is public', async () => {
    const uai = (await search('clinic')).items[0]?.uai as string;
    await runLine(`printf 'day,visits\\n2026-01-01,12\\n2026-03-02,9\\n' > visits.csv`);
    await runLine('seele data add visits.csv --describe visits.yaml --yes');
    const versions = await until(
      () => json<DatasetVersionsDocument>('versions', uai),
      ({ items }) => items.length === 2 && items.every(({ problem }) => problem === undefined),
    );
    expect(versions.items.map(({ sequence }) => sequence)).toEqual([2, 1]);
    await until(
      () => search('--since', '2026-02-01'),
      ({ items }) => items.length === 1,
    );
    const { added, removed } = await json<DirectoryDifferenceDocument>('diff', uai);
    expect(added.join('\n')).toContain('2026-03-02');
    expect(removed.join('\n')).toContain('2026-01-02');
    for (const format of ['turtle', 'n-quads', 'json-ld', 'schema.org', 'croissant']) {
      const shown = await json<{ document: string }>(
        'show',
        uai,
        '--format',
        format,
        '--version',
        '1',
      );
      expect(shown.document).toContain('Clinic visits');
      expect(shown.document).not.toContain('schema/visits');
    }
    const feed = await fetch(`${machine.urls.market}/v1/catalogue/feed`);
    expect(feed.headers.get('content-type')).toMatch('text/turtle');
    const text = await feed.text();
    expect(text).toContain('dcat:Catalog');
    expect(text).toContain(uai);
    const next = /<([^>]*)>; rel="next"/.exec(feed.headers.get('link') ?? '')?.[1] ?? '';
    expect(await (await fetch(next)).text()).not.toContain(uai);
  }, 60_000);

  it('answers SPARQL, ends what is too slow, and refuses updates', async () => {
    const ask = async (query: string) => {
      const url = `${machine.urls.market}/v1/catalogue/sparql?query=${encodeURIComponent(query)}`;
      const response = await fetch(url);
      return { status: response.status, text: await response.text() };
    };
    const titles = 'SELECT ?t WHERE { ?d <http://purl.org/dc/terms/title> ?t }';
    expect(await ask(titles)).toMatchObject({ status: 200 });
    expect((await ask(titles)).text).toContain('Clinic visits');
    const graph = await ask(
      'CONSTRUCT { ?d a <urn:found> } WHERE { ?d <http://purl.org/dc/terms/title> ?t }',
    );
    expect(graph.text).toContain('urn:found');
    expect((await ask('INSERT DATA { <a:b> <a:c> <a:d> }')).text).toContain('MARKET_SPARQL');
    const slow = 'SELECT (COUNT(*) AS ?n) WHERE { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i . ?j ?k ?l }';
    expect((await ask(slow)).text).toContain('took over');
    expect((await ask(titles)).status).toBe(200);
  }, 60_000);

  it('tells a person in one line what is wrong', async () => {
    for (const [args, code] of [
      [['show', 'chain://x/y/z'], 'MARKET_DATASET_UNKNOWN'],
      [['search', '--place', '1,2'], 'HTTP_BAD_REQUEST'],
      [['search', '--max-price', 'cheap'], 'HTTP_BAD_REQUEST'],
      [['diff', 'chain://x/y/z', 'one'], 'CLI_USAGE'],
    ] as const) {
      const { code: exit, stderr } = await machine.seele('data', ...args);
      expect(exit).toBeGreaterThan(0);
      expect(stderr).toContain(code);
      expect(stderr.trim().split('\n')).toHaveLength(1);
    }
  }, 30_000);
});
