import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MarketEffect, MarketEvent } from '#libs/market';
import {
  type EmbeddedPostgres,
  createLogger,
  removePostgresCluster,
  startEmbeddedPostgres,
} from '#libs/platform';
import { MarketLoop } from './market-loop.ts';
import { openRowStore } from './store/row-store.ts';

const save = (id: string): MarketEffect => ({
  kind: 'save',
  table: 'leaf',
  id,
  bytes: new Uint8Array([1]),
});
const hello = (order: string): MarketEffect => ({
  kind: 'jobEvent',
  event: { order, kind: 'x', timeUs: 0, data: new Uint8Array() },
});

/** A loop whose commits end when the test says so. */
function createRig(
  react: (event: MarketEvent) => readonly MarketEffect[],
  nextTickMs?: () => number,
) {
  const commits: { ids: string[]; end: (error?: Error) => void }[] = [];
  const released: string[] = [];
  const fatal: string[] = [];
  const loop = new MarketLoop({
    machine: { apply: react, nextTickMs: () => nextTickMs?.() },
    rows: {
      commit: (changes) =>
        new Promise((resolve, reject) => {
          const ids = [...changes.saves.values()].map(({ id }) => id);
          commits.push({ ids, end: (error) => (error ? reject(error) : resolve()) });
        }),
    },
    perform: (effect) => void released.push(effect.kind === 'jobEvent' ? effect.event.order : '?'),
    onFatal: (_error, why) => void fatal.push(why),
    monotonicMs: () => performance.now(),
  });
  return { loop, commits, released, fatal };
}

const gone = (session: string): MarketEvent => ({ kind: 'agentGone', session });

describe('the market loop', () => {
  it('lets effects out only after their commit, in order, and groups what came meanwhile', async () => {
    const { loop, commits, released } = createRig((event) =>
      event.kind === 'agentGone' ? [save(event.session), hello(event.session)] : [],
    );
    loop.dispatch(gone('a'));
    loop.dispatch(gone('b'));
    await sleep(0);
    expect(commits.map(({ ids }) => ids)).toEqual([['a', 'b']]);
    for (const session of ['c', 'd', 'e']) loop.dispatch(gone(session));
    await sleep(0);
    expect([commits.length, released]).toEqual([1, []]);
    commits[0]?.end();
    await sleep(0);
    expect(released).toEqual(['a', 'b']);
    expect(commits[1]?.ids).toEqual(['c', 'd', 'e']);
    commits[1]?.end();
    await loop.stop();
    expect(released).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  it('holds effects without changes back behind the commit before them', async () => {
    const { loop, commits, released } = createRig((event) => {
      if (event.kind !== 'agentGone') return [];
      return event.session === 'saves' ? [save('x'), hello('saves')] : [hello(event.session)];
    });
    loop.dispatch(gone('saves'));
    await sleep(0);
    loop.dispatch(gone('says'));
    await sleep(0);
    expect(released).toEqual([]);
    commits[0]?.end();
    await sleep(0);
    expect(released).toEqual(['saves', 'says']);
  });

  it('ends at a failed commit: nothing is let out and nothing more is taken in', async () => {
    const { loop, commits, released, fatal } = createRig((event) =>
      event.kind === 'agentGone' ? [save(event.session), hello(event.session)] : [],
    );
    loop.dispatch(gone('a'));
    await sleep(0);
    commits[0]?.end(new Error('connection lost'));
    await sleep(0);
    loop.dispatch(gone('b'));
    await sleep(0);
    expect([commits.length, released]).toEqual([1, []]);
    expect(fatal).toEqual([expect.stringContaining('unknown')]);
    await expect(
      loop.request({ kind: 'bindingDue', order: 'x', binding: 1 }),
    ).rejects.toMatchObject({
      code: 'HTTP_OVERLOADED',
    });
  });

  it('ends when the reducer fails, before anything of that event is stored', async () => {
    const { loop, commits, fatal } = createRig(() => {
      throw new Error('defect');
    });
    loop.dispatch(gone('a'));
    await sleep(0);
    expect([commits.length, fatal.length]).toEqual([0, 1]);
  });

  it('answers requests after their commit and refuses more than it can hold', async () => {
    const { loop, commits } = createRig((event) =>
      event.kind === 'bindingDue'
        ? [save('x'), { kind: 'reply', request: event.request, reply: { is: 'bindingSeen' } }]
        : [],
    );
    const ask = () => loop.request({ kind: 'bindingDue', order: 'x', binding: 1 });
    const asked = Array.from({ length: 2_000 }, ask);
    expect(loop.isCrowded).toBe(true);
    await expect(ask()).rejects.toMatchObject({ code: 'HTTP_OVERLOADED' });
    await sleep(0);
    commits[0]?.end();
    const kinds = new Set((await Promise.all(asked)).map(({ is }) => is));
    expect([...kinds]).toEqual(['bindingSeen']);
    expect(loop.isCrowded).toBe(false);
  });

  it('ticks when the market says it is time', async () => {
    const ticks: number[] = [];
    const firstMs = performance.now() + 30;
    let due = firstMs;
    const { loop } = createRig(
      (event) => {
        if (event.kind === 'tick') {
          ticks.push(performance.now());
          due += 40;
        }
        return [hello('x')];
      },
      () => due,
    );
    loop.dispatch(gone('a'));
    while (ticks.length < 2) await sleep(5);
    await loop.stop();
    expect(ticks[0]).toBeGreaterThanOrEqual(firstMs - 1);
    expect(ticks[1]).toBeGreaterThanOrEqual(firstMs + 39);
  });
});

const program = (url: string): string => `
  const { writeSync } = await import('node:fs');
  const { openRowStore } = await import('./dist/apps/market/src/store/row-store.js');
  const { MarketLoop } = await import('./dist/apps/market/src/market-loop.js');
  const { createLogger, armFailpoints } = await import('#libs/platform');
  const logger = createLogger({ name: 'crash', level: 'silent' });
  const rows = await openRowStore({ url: ${JSON.stringify(url)}, logger, identity: 'test', onLost: () => process.exit(3) });
  let next = (await rows.read('leaf')).length;
  let letOut = 0;
  const loop = new MarketLoop({
    rows,
    machine: {
      apply: () => {
        const id = String(next++).padStart(6, '0');
        return [
          { kind: 'save', table: 'leaf', id, bytes: new Uint8Array([1]) },
          { kind: 'jobEvent', event: { order: id, kind: 'x', timeUs: 0, data: new Uint8Array() } },
        ];
      },
      nextTickMs: () => undefined,
    },
    perform: ({ event }) => {
      writeSync(1, event.order + '\\n');
      letOut++;
    },
    onFatal: () => process.exit(4),
    monotonicMs: () => performance.now(),
  });
  armFailpoints(process.env.CRASH_AT);
  for (let i = 0; i < 40; i++) {
    loop.dispatch({ kind: 'tick' });
    // A few events share a commit, and there are a dozen commits however slow the disk is.
    while (i % 3 === 0 && letOut <= i) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await loop.stop();
  await rows.close();`;

describe('group commit on PostgreSQL, killed with SIGKILL', () => {
  let home: string;
  let server: EmbeddedPostgres;
  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'seele-crash-'));
    server = await startEmbeddedPostgres({ directory: join(home, 'postgres') });
  });
  afterAll(async () => {
    await server.stop();
    await removePostgresCluster(join(home, 'postgres'));
    await rm(home, { recursive: true, force: true });
  });

  function run(
    crashAt: string,
  ): Promise<{ signal: string | null; code: number | null; said: string[] }> {
    const child = spawn(
      process.execPath,
      ['--no-warnings', '--input-type=module', '-e', program(server.url)],
      {
        cwd: join(import.meta.dirname, '../../..'),
        stdio: ['ignore', 'pipe', 'inherit'],
        env: { ...process.env, SEELE_FAILPOINTS: '', CRASH_AT: crashAt },
      },
    );
    let out = '';
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
    return new Promise((resolve) =>
      child.on('close', (code, signal) =>
        resolve({ signal, code, said: out.split('\n').filter((line) => line !== '') }),
      ),
    );
  }

  async function stored(): Promise<string[]> {
    const logger = createLogger({ name: 'reader', level: 'silent' });
    const rows = await openRowStore({
      url: server.url,
      logger,
      identity: 'test',
      onLost: () => undefined,
    });
    try {
      return (await rows.read('leaf')).map(({ id }) => id);
    } finally {
      await rows.close();
    }
  }

  it.each([
    'market.commit.before=kill@4',
    'market.commit.during=kill@4',
    'market.commit.after=kill@4',
    'market.release.before=kill@4',
    'market.release.during=kill@9',
    'market.release.after=kill@4',
  ])('at %s: nothing was let out that is not stored, and nothing has a gap', async (crashAt) => {
    const before = (await stored()).length;
    const { signal, said } = await run(crashAt);
    expect(signal).toBe('SIGKILL');
    const ids = await stored();
    expect(ids).toEqual(ids.map((_, i) => String(i).padStart(6, '0')));
    expect(ids.length).toBeGreaterThan(before);
    for (const id of said) expect(ids).toContain(id);
  });

  it('then goes on where it was, whole', async () => {
    const before = (await stored()).length;
    const { code, said } = await run('');
    expect([code, said.length]).toEqual([0, 40]);
    expect(await stored()).toHaveLength(before + 40);
  });

  it('lets no second market onto the database, nor one of another chain', async () => {
    const logger = createLogger({ name: 'second', level: 'silent' });
    const open = (identity: string) =>
      openRowStore({ url: server.url, logger, identity, onLost: () => undefined });
    await expect(open('another')).rejects.toMatchObject({ code: 'MARKET_CHAIN_MISMATCH' });
  });
});
