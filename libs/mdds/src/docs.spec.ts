import { readFileSync } from 'node:fs';
import * as kernel from '#libs/kernel';
import * as mdds from './index.ts';

it('docs/metadata.md: the worked example does what it says', async () => {
  const page = readFileSync(new URL('../../../docs/metadata.md', import.meta.url), 'utf8');
  const example = /```ts\n([^]*?)```/.exec(page)?.[1] ?? '';
  const body = example.replace(/import \{([^}]*)\} from '#libs\/(\w+)';/g, 'const {$1} = $2;');
  // oxlint-disable-next-line typescript/no-implied-eval -- the page's own text, without types
  const run = new Function(
    'kernel',
    'mdds',
    `return (async () => {${body}; return { turtle, later, described }; })()`,
  ) as (
    ...libraries: readonly object[]
  ) => Promise<{ turtle: string; later: string; described: mdds.DescribedDataset }>;
  const { turtle, later, described } = await run(kernel, mdds);
  expect(turtle).toContain('icd10');
  for (const hidden of ['patient_id', '18233', '0.007', '734003200'])
    expect(turtle).not.toContain(hidden);
  expect(later).toBe(described.publicIri);
});
