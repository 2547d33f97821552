import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..', '..', '..');

it('docs/ledger.md: the example runs and prints what the page says', () => {
  const page = readFileSync(join(root, 'docs', 'ledger.md'), 'utf8');
  const example = /```js\n([\s\S]*?)```/.exec(page)?.[1] as string;
  const options = ['-C', 'source', '--input-type=module', '--disable-warning=ExperimentalWarning'];
  const child = spawnSync(process.execPath, [...options, '-e', example], {
    cwd: root,
    encoding: 'utf8',
    timeout: 20_000,
  });
  expect(child.stderr).toBe('');
  expect(child.stdout).toBe('ok at height 1\nproven at height 1\n');
});
