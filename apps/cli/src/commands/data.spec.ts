/** What an owner is told who gives `seele data` something wrong: one line, with the input it is about. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createCommandContext } from '../../../../test/support/command-context.ts';
import { parquet, pdf } from '../../../../test/support/sample-files.ts';
import { diffVersions, listVersions, showDataset } from './catalogue.ts';
import { dataAdd } from './data-add.ts';
import { dataFetch } from './data-grant.ts';

const root = mkdtempSync(join(tmpdir(), 'seele-data-'));
const at = (name: string): string => join(root, name);
afterAll(() => rmSync(root, { recursive: true, force: true }));
beforeAll(() => {
  writeFileSync(at('claims.csv'), 'id,cost\n1,2\n');
  writeFileSync(at('empty.csv'), '');
  writeFileSync(at('broken.parquet'), parquet().subarray(0, 60));
  writeFileSync(at('paper.pdf'), pdf());
  mkdirSync(at('nothing'));
  writeFileSync(at('key.yaml'), 'publis: [keywords]\n');
});

async function add(
  source: string,
  options: Readonly<Record<string, unknown>> = {},
): Promise<string[]> {
  const { context, said } = createCommandContext(at('home'));
  await dataAdd(context, options, source);
  return said;
}
const refusal = (given: Promise<unknown>): Promise<string> =>
  given.then(
    () => 'taken',
    (error: Error) => error.message,
  );

describe('what cannot be added is refused by its name', () => {
  it.each([
    ['empty.csv', {}, /empty\.csv is empty/],
    ['nothing', {}, /nothing holds no file/],
    ['broken.parquet', {}, /^broken\.parquet: not a whole Parquet file/],
    ['claims.csv', { describe: at('key.yaml') }, /key\.yaml: at the top: nothing called "publis"/],
  ])('%s', async (name, options, words) => {
    expect(await refusal(add(at(name), options))).toMatch(words);
  });

  it('before anything is looked at: another mode, an address of something else than a table', async () => {
    expect(await refusal(add(at('claims.csv'), { mode: 'ipsf' }))).toMatch(/not "ipsf"/);
    expect(await refusal(add('https://example.org/a.csv'))).toMatch(/a\.csv is an address/);
  });
});

it('speaks of rows only where there are any', async () => {
  expect((await add(at('paper.pdf')))[0]).toMatch(/^pdf, \d+ B$/);
});

it('names of datasets stand for addresses; what is neither is said to be', async () => {
  const { context } = createCommandContext(at('home'));
  const options = { limit: '1', offset: '0' } as never;
  for (const command of [showDataset, listVersions, diffVersions])
    expect(await refusal(command(context, options, 'claims'))).toMatch(/"claims" is neither/);
});

it('a file that is no grant is named', async () => {
  const { context } = createCommandContext(at('home'));
  const fetching = dataFetch(context, { out: at('out') }, at('claims.csv'));
  expect(await refusal(fetching)).toMatch(/claims\.csv is no grant/);
});
