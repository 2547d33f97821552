import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { homeAt } from '../frame/home.ts';
import { prepareHome } from '../frame/prepare-home.ts';
import { choosePorts } from './ports.ts';
import { urlsOf } from './processes.ts';
import { lastRunState } from './run-state.ts';
import { createSupervisor } from './supervisor.ts';

const home = homeAt(mkdtempSync(join(tmpdir(), 'seele-supervisor-')));
prepareHome(home);
afterAll(() => rmSync(home.path, { recursive: true, force: true }));

const child = {
  name: 'serves',
  command: process.execPath,
  args: ['-e', 'console.log(\'{"ready":true}\'); setInterval(() => {}, 1000)'],
  env: {},
  logFile: join(home.logs, 'serves.log'),
};

test('what dies while the run state cannot be written is started again, and the state follows later', async () => {
  const ports = await choosePorts('auto');
  const facts = { ports, urls: urlsOf(ports), chain: '' };
  const supervisor = createSupervisor({ home, groups: [[child]], facts });
  const status = () => supervisor.processes[0];
  const until = async (holds: () => boolean) => {
    for (let i = 0; i < 400 && !holds(); i++) await sleep(25);
  };
  await supervisor.start();
  try {
    renameSync(home.run, `${home.run}-away`);
    // A file where the folder was: as a full disk, it takes nothing.
    writeFileSync(home.run, '');
    process.kill(status()?.pid as number, 'SIGKILL');
    await until(() => status()?.state === 'ready' && status()?.restarts === 1);
    expect(status()).toMatchObject({ state: 'ready', restarts: 1 });
    rmSync(home.run);
    renameSync(`${home.run}-away`, home.run);
    await until(() => lastRunState(home)?.processes[0]?.restarts === 1);
    expect(lastRunState(home)?.processes[0]).toMatchObject({ restarts: 1, pid: status()?.pid });
  } finally {
    await supervisor.stop();
  }
});
