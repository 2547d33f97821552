/**
 * Processes that cannot start: each says why in one line that names what is in the way and what to do,
 * exits with 1, and leaves nothing running and nothing changed.
 */
import {
  chmodSync,
  chownSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type App, APPS, type FailedStart, startAndFail } from '../support/app-process.ts';
import { type LocalMachine, startLocalMachine } from '../support/local-machine.ts';
import { allProcesses } from '../support/process-tree.ts';

const NOBODY = 65_534;
const isRoot = process.getuid?.() === 0;

let machine: LocalMachine;
/** A home with the same chain and keys in which nothing runs. */
let home: string;

beforeAll(async () => {
  machine = await startLocalMachine({}, 1);
  home = copyOf(machine.home);
}, 120_000);
afterAll(async () => {
  await machine.stop();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

const folders: string[] = [];
function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'seele-start-'));
  chmodSync(folder, 0o711);
  folders.push(folder);
  return folder;
}

/** A new home with the chain and the keys of another, and what else is named. */
function copyOf(source: string, ...names: readonly string[]): string {
  const copy = newFolder();
  for (const name of ['genesis.cbor', 'keys', ...names])
    cpSync(join(source, name), join(copy, name), { recursive: true });
  return copy;
}

/** What the app needs to come as far as the obstacle. */
function settingsOf(app: App, at: string, port = '0'): Record<string, string> {
  const needsNode = app === 'market' || app === 'provider';
  return {
    SEELE_HOME: at,
    [`SEELE_${app.toUpperCase()}_PORT`]: port,
    ...(needsNode && { SEELE_NODE_URL: machine.urls.node, STORAGE_RPC_URL: machine.urls.storage }),
    ...(app === 'storage' && { SEELE_STORAGE_SWARM: 'off' }),
  };
}

function expectOneLine(app: App, { code, stdout, stderr }: FailedStart, message: RegExp): void {
  expect([app, code, stdout]).toEqual([app, 1, '']);
  expect(stderr).toMatch(/^(node|market|storage|postgres|provider[a-z-]*): [^\n]+\n$/);
  expect([app, stderr]).toEqual([app, expect.stringMatching(message)]);
}

const each = (run: (app: App) => Promise<void>, apps: readonly App[] = APPS): Promise<unknown> =>
  Promise.all(apps.map(run));

it('an occupied port is named, with what to do', async () => {
  const taken = new URL(machine.urls.storage).port;
  const places = [home, copyOf(home)];
  await each(async (app) => {
    // The market and the process of PostgreSQL would make the same cluster.
    const at = places[app === 'market' ? 1 : 0] as string;
    const failed = await startAndFail(app, settingsOf(app, at, taken));
    expectOneLine(app, failed, new RegExp(`${taken}.* in use \\(PLATFORM_PORT_IN_USE\\)\\. Stop`));
  });
  const left = () =>
    allProcesses().filter(({ command }) => places.some((at) => command.includes(at)));
  for (let i = 0; i < 100 && left().length > 0; i++) await sleep(50);
  expect(left()).toEqual([]);
}, 60_000);

it('a setting that is wrong is named', async () => {
  await each(async (app) => {
    const failed = await startAndFail(app, settingsOf(app, home, 'many'));
    expectOneLine(app, failed, /_PORT: "many".*\(PLATFORM_SETTINGS_INVALID\)\. Correct/);
  });
}, 60_000);

describe('no permission, as an ordinary user', () => {
  const uid = isRoot ? NOBODY : undefined;
  /** Whether another user can run this build at all: not where it lies under /root. */
  const canRun = async () => {
    const { stderr } = await startAndFail('postgres', { SEELE_POSTGRES_PORT: 'x' }, uid).catch(
      () => ({ stderr: '' }),
    );
    if (stderr.includes('SETTINGS_INVALID')) return true;
    console.warn('skipped: an ordinary user cannot read this build');
    return false;
  };

  it('on the home', async () => {
    if (!(await canRun())) return;
    const locked = newFolder();
    chmodSync(locked, 0o555);
    await each(async (app) => {
      const failed = await startAndFail(app, settingsOf(app, locked), uid);
      expectOneLine(app, failed, new RegExp(`permission for ${locked}.*\\(PLATFORM_PERMISSION\\)`));
    });
    expect(readdirSync(locked)).toEqual([]);
  }, 60_000);

  it('on the data directory', async () => {
    if (!(await canRun())) return;
    const own = copyOf(home);
    const folderOf = {
      node: 'node',
      storage: 'storage',
      postgres: 'postgres',
      provider: 'providers',
    };
    for (const name of Object.values(folderOf)) mkdirSync(join(own, name), { mode: 0o555 });
    if (isRoot) {
      const keys = readdirSync(join(own, 'keys')).map((name) => join('keys', name));
      for (const name of ['', 'keys', 'genesis.cbor', ...keys])
        chownSync(join(own, name), NOBODY, NOBODY);
    }
    await each(
      async (app) => {
        const failed = await startAndFail(app, settingsOf(app, own), uid);
        expectOneLine(app, failed, /(permission|denied).*\([A-Z]+_[A-Z]+\)/i);
        expect(failed.stderr).toContain(own);
      },
      Object.keys(folderOf) as App[],
    );
  }, 60_000);
});

describe('damaged files', () => {
  /** The machine's home as it lies on the disk when everything has stopped. */
  let stopped: string;
  beforeAll(async () => {
    expect((await machine.seele('down')).code).toBe(0);
    stopped = machine.home;
  });
  const fails = async (app: App, at: string, message: RegExp, more = {}) => {
    expectOneLine(app, await startAndFail(app, { ...settingsOf(app, at), ...more }), message);
  };

  it('a block of the chain: changed or cut off', async () => {
    const flipped = copyOf(stopped, 'node');
    const file = join(flipped, 'node/data.mdb');
    const bytes = readFileSync(file);
    const at = bytes.lastIndexOf('deposit');
    expect(at).toBeGreaterThan(0);
    for (let i = bytes.indexOf('deposit'); i >= 0; i = bytes.indexOf('deposit', i + 1))
      bytes[i] = (bytes[i] as number) ^ 1;
    writeFileSync(file, bytes);
    const cut = copyOf(stopped, 'node');
    truncateSync(join(cut, 'node/data.mdb'), Math.floor(bytes.length / 3));
    await Promise.all([
      fails('node', flipped, /\((LEDGER|STORE|KERNEL)_[A-Z_]+\)/, { SEELE_NODE_CHECK: 'full' }),
      fails('node', cut, /\((LEDGER|STORE)_[A-Z_]+\)/),
    ]);
  }, 60_000);

  it('a keystore', async () => {
    const keyOf = { node: 'sequencer', market: 'market', provider: 'provider-own' };
    const copy = copyOf(stopped);
    cpSync(join(copy, 'keys/provider-eco.json'), join(copy, 'keys/provider-own.json'));
    for (const key of Object.values(keyOf)) truncateSync(join(copy, `keys/${key}.json`), 60);
    await each((app) => fails(app, copy, /\(KEYSTORE_CORRUPT\)/), ['node', 'provider']);
    expect(readFileSync(join(copy, 'keys/sequencer.json')).length).toBe(60);
  }, 60_000);

  it('the journal of a provider, and the files of PostgreSQL', async () => {
    const copy = copyOf(stopped, 'providers', 'postgres');
    writeFileSync(join(copy, 'providers/eco/leases/data.mdb'), 'x'.repeat(100_000));
    const journal = { SEELE_PROVIDER_NAME: 'eco' };
    await fails('provider', copy, /not an LMDB database.*\(STORE_CORRUPT\)/, journal);
    const data = join(copy, 'postgres/data');
    writeFileSync(join(data, 'global/pg_control'), Buffer.alloc(8192, 7));
    if (isRoot)
      for (const name of ['', ...readdirSync(data, { recursive: true, encoding: 'utf8' })])
        chownSync(join(data, name), NOBODY, NOBODY);
    await fails('postgres', copy, /\(PLATFORM_POSTGRES_FAILED\)/);
  }, 60_000);
});
