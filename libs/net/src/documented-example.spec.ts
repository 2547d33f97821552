import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { LINK_ENDS } from './transport.ts';

const root = join(import.meta.dirname, '..', '..', '..');
const page = readFileSync(join(root, 'docs', 'network.md'), 'utf8');

it('docs/network.md: the example runs and prints what the page says', () => {
  const example = /```js\n([\s\S]*?)```/.exec(page)?.[1] as string;
  const options = ['-C', 'source', '--input-type=module', '--disable-warning=ExperimentalWarning'];
  const child = spawnSync(process.execPath, [...options, '-e', example], {
    cwd: root,
    encoding: 'utf8',
    timeout: 20_000,
  });
  expect(child.stderr).toBe('');
  expect(child.stdout).toBe('queued\ntrue a vote\n');
});

it('docs/network.md names every reason for which a link ends', () => {
  for (const end of Object.keys(LINK_ENDS)) expect(page).toContain(`\`${end}\``);
});
