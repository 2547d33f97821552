import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { allProcesses } from '../support/process-tree.ts';

/** The local machine's home, as the command line of its supervisor names it. */
const HOME = /--home (\S*seele-test-\S+)/;

test('a bench that is told to stop in its middle leaves no process and no file behind', async () => {
  const before = new Set(allProcesses().map(({ pid }) => pid));
  const bench = spawn(process.execPath, ['dist/test/bench/harness.js', 'e2e'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const ended = once(bench, 'exit');
  const ours = () =>
    allProcesses().filter(({ pid, command }) => !before.has(pid) && HOME.test(command));
  for await (const line of createInterface({ input: bench.stderr }))
    if (line.includes('which are killed')) break;
  const supervisor = ours().find(({ command }) => command.includes('--supervise'));
  const home = HOME.exec(supervisor?.command ?? '')?.[1] ?? '';
  expect(existsSync(home)).toBe(true);
  // As `timeout` does, which signals the process and then its group.
  bench.kill('SIGTERM');
  await sleep(50);
  bench.kill('SIGTERM');
  expect(await ended).toEqual([143, null]);
  expect(ours().filter(({ command }) => command.includes(home))).toEqual([]);
  expect(existsSync(home)).toBe(false);
}, 120_000);

test('what is written while it ends is gone with it too', async () => {
  const program = `
    import { mkdirSync } from 'node:fs';
    import { endOnSignals, mustEnd, temporaryFolder } from './dist/test/support/started.js';
    const folder = temporaryFolder('seele-test-');
    mustEnd(() => mkdirSync(folder + '/late', { recursive: true }));
    mustEnd(() => import('node:fs').then(({ rmSync }) => rmSync(folder, { recursive: true })));
    endOnSignals();
    setInterval(() => {}, 1000);
    console.log(folder);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const ended = once(child, 'exit');
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  expect(existsSync(line)).toBe(true);
  child.kill('SIGTERM');
  expect(await ended).toEqual([143, null]);
  expect(existsSync(line)).toBe(false);
}, 30_000);
