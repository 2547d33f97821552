import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmod, chown, mkdir, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import {
  type EmbeddedPostgres,
  freePort,
  removePostgresCluster,
  startEmbeddedPostgres,
} from '../index.ts';

const isRoot = process.getuid?.() === 0;
const repository = join(import.meta.dirname, '../../../..');

async function query(url: string, text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query(text)).rows as Record<string, unknown>[];
  } finally {
    await client.end();
  }
}

const program = (directory: string): string => `
  const { startEmbeddedPostgres, errorLine } = await import('#libs/platform');
  try {
    const server = await startEmbeddedPostgres({ directory: ${JSON.stringify(directory)} });
    process.stdout.write(JSON.stringify({ pid: server.pid, url: server.url }) + '\\n');
    process.once('SIGTERM', () => void server.stop().then(() => process.exit(0)));
    setInterval(() => undefined, 1000);
  } catch (error) {
    process.stdout.write(JSON.stringify({ code: error.code, line: errorLine(error) }) + '\\n');
  }`;

/** Runs the launcher in a process of its own, as another user when root lends one. */
function launch(
  directory: string,
  uid?: number,
): Promise<{ child: ChildProcess; said: Record<string, unknown> }> {
  const child = spawn(
    process.execPath,
    ['--no-warnings', '--input-type=module', '-e', program(directory)],
    {
      cwd: repository,
      stdio: ['ignore', 'pipe', 'inherit'],
      ...(uid !== undefined && { uid, gid: uid }),
      env: { PATH: process.env['PATH'], HOME: '/nonexistent' },
    },
  );
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    // Not `exit`: what it said may be read after that.
    child.on('close', () => reject(new Error('the launcher said nothing')));
    child.stdout.once('data', (chunk: Buffer) =>
      resolve({ child, said: JSON.parse(chunk.toString()) as Record<string, unknown> }),
    );
  });
}

const exited = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve();
    else child.once('exit', () => resolve());
  });

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

async function gone(pid: number, withinMs: number): Promise<boolean> {
  const until = performance.now() + withinMs;
  while (isAlive(pid) && performance.now() < until) await new Promise((r) => setTimeout(r, 20));
  return !isAlive(pid);
}

describe(`embedded PostgreSQL as ${isRoot ? 'root' : 'an ordinary user'}`, () => {
  let home: string;
  let server: EmbeddedPostgres;
  const directory = (): string => join(home, 'postgres');

  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'seele-pg-'));
    server = await startEmbeddedPostgres({ directory: directory() });
    await query(server.url, 'create table kept (x int); insert into kept values (7)');
  });
  afterAll(async () => {
    await server.stop();
    await removePostgresCluster(directory());
    await rm(home, { recursive: true, force: true });
  });

  it('is durable, on loopback only, and says so whatever a file says', async () => {
    const names = ['fsync', 'synchronous_commit', 'full_page_writes', 'listen_addresses', 'jit'];
    const rows = await query(
      server.url,
      `select name, setting, source from pg_settings where name in ('${names.join("','")}') order by name`,
    );
    expect(rows.map((row) => `${String(row['name'])}=${String(row['setting'])}`)).toEqual([
      'fsync=on',
      'full_page_writes=on',
      'jit=off',
      'listen_addresses=127.0.0.1',
      'synchronous_commit=on',
    ]);
    expect(rows.every((row) => row['source'] === 'command line')).toBe(true);
    expect(await query(server.url, 'show max_connections')).toEqual([{ max_connections: '200' }]);
    expect(await query(server.url, 'show wal_segment_size')).toEqual([{ wal_segment_size: '1MB' }]);
  });

  it('lets nobody in without the password, which only we can read', async () => {
    const wrong = new URL(server.url);
    wrong.password = 'guess';
    await expect(query(wrong.href, 'select 1')).rejects.toMatchObject({ code: '28P01' });
    wrong.password = '';
    await expect(query(wrong.href, 'select 1')).rejects.toThrow();
    expect((await stat(join(directory(), 'password'))).mode & 0o777).toBe(0o600);
    const hba = await readFile(join(directory(), 'data/pg_hba.conf'), 'utf8').catch(() => '');
    expect(hba).not.toMatch(/^[^#]*\btrust\b/m);
  });

  it('starts again after SIGKILL with every committed row', async () => {
    const { pid } = server;
    process.kill(pid, 'SIGKILL');
    await server.ended;
    const startedAt = performance.now();
    server = await startEmbeddedPostgres({ directory: directory() });
    expect(performance.now() - startedAt).toBeLessThan(10_000);
    expect(server.pid).not.toBe(pid);
    expect(await query(server.url, 'select x from kept')).toEqual([{ x: 7 }]);
  });

  it('takes over from a server whose owner is gone', async () => {
    const before = server;
    const next = await startEmbeddedPostgres({ directory: directory() });
    expect(isAlive(before.pid)).toBe(false);
    server = next;
    expect(await query(server.url, 'select x from kept')).toEqual([{ x: 7 }]);
  });

  it('says in one line that a port is occupied', async () => {
    await server.stop();
    const port = await freePort();
    const other = createServer().listen(port, '127.0.0.1');
    await new Promise((resolve) => other.once('listening', resolve));
    await expect(startEmbeddedPostgres({ directory: directory(), port })).rejects.toMatchObject({
      code: 'PLATFORM_PORT_IN_USE',
    });
    await new Promise((resolve) => other.close(resolve));
    server = await startEmbeddedPostgres({ directory: directory(), port });
    expect(server.port).toBe(port);
  });

  it('refuses a password file that others can read', async () => {
    const path = join(directory(), 'password');
    await chmod(path, 0o644);
    await expect(startEmbeddedPostgres({ directory: directory() })).rejects.toMatchObject({
      code: 'PLATFORM_SECRET_LOOSE',
    });
    await chmod(path, 0o600);
  });

  it('ends by itself when its owner is killed', async () => {
    const place = join(home, 'owned');
    const { child, said } = await launch(place);
    const pid = Number(said['pid']);
    expect(isAlive(pid)).toBe(true);
    child.kill('SIGKILL');
    await exited(child);
    expect(await gone(pid, 20_000)).toBe(true);
    await removePostgresCluster(place);
  });
});

const asRoot = isRoot ? describe : describe.skip;
asRoot('embedded PostgreSQL as uid 1000 (needs root to lend the user)', () => {
  let home: string;
  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'seele-pg-user-'));
    await chmod(home, 0o755);
  });
  afterAll(() => rm(home, { recursive: true, force: true }));

  it('runs as that user and stops cleanly', async () => {
    const place = join(home, 'mine');
    await mkdir(place);
    await chown(place, 1000, 1000);
    const { child, said } = await launch(place, 1000);
    const pid = Number(said['pid']);
    expect(
      execFileSync('stat', ['-c', '%u', `/proc/${pid}`])
        .toString()
        .trim(),
    ).toBe('1000');
    expect(await query(String(said['url']), 'select 1 as one')).toEqual([{ one: 1 }]);
    child.kill('SIGTERM');
    await exited(child);
    expect(isAlive(pid)).toBe(false);
  });

  it('says that it may not write there', async () => {
    const place = join(home, 'not-mine');
    await mkdir(place, { mode: 0o755 });
    const { child, said } = await launch(place, 1000);
    await exited(child);
    expect(said).toMatchObject({ code: 'PLATFORM_PERMISSION' });
    expect(String(said['line'])).toContain(place);
  });
});

function smallDisk(): string | undefined {
  const place = join(tmpdir(), `seele-full-${process.pid}`);
  try {
    execFileSync('mkdir', ['-p', place]);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m,mode=755', 'tmpfs', place], {
      stdio: 'ignore',
    });
    return place;
  } catch {
    return undefined;
  }
}

asRoot('embedded PostgreSQL on a full disk (needs root to mount one)', () => {
  it('names the cause and leaves nothing half-made', async () => {
    const place = smallDisk();
    if (place === undefined) {
      console.warn('skipped: a small file system cannot be mounted here');
      return;
    }
    try {
      await expect(
        startEmbeddedPostgres({ directory: join(place, 'home/postgres') }),
      ).rejects.toMatchObject({ code: 'PLATFORM_DISK_FULL' });
      await expect(stat(join(place, 'home/postgres/data'))).rejects.toMatchObject({
        code: 'ENOENT',
      });
    } finally {
      execFileSync('umount', [place]);
      await rm(place, { recursive: true, force: true });
    }
  });
});
