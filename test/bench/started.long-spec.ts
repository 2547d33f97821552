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
