/** Orders of many tasks on real processes whose PostgreSQL is killed, and whose Redis forgets everything. */
import { setTimeout as sleep } from 'node:timers/promises';
import { createArrayOrderer } from '../bench/e2e-array.ts';
import { paidUnits } from '../bench/e2e-paid.ts';
import { type LocalMachine, startLocalMachine } from '../support/local-machine.ts';
import { type OwnMarket, startOwnMarket } from '../support/own-market.ts';
import { descendants } from '../support/process-tree.ts';
import { startRedis } from '../support/redis-server.ts';

const TASKS = 10_000;
const STRIKES = 3;
const NOOP_PROVIDER = { SEELE_PROVIDER_NOOP: 'true', SEELE_PROVIDER_SLOTS: '2' };

let machine: LocalMachine;
let own: OwnMarket;

beforeAll(async () => {
  machine = await startLocalMachine();
  own = await startOwnMarket(machine, { 'noop-1': NOOP_PROVIDER, 'noop-2': NOOP_PROVIDER });
}, 180_000);
afterAll(async () => {
  await own?.stop();
  await machine?.stop();
});

/** Undefined while the market cannot answer. */
const view = (id: string) => own.market.order(id).catch(() => undefined);

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  for (const fromMs = performance.now(); !(await isSo()); await sleep(20))
    if (performance.now() - fromMs > 120_000) throw new Error(`not in time: ${what}`);
}

/** Orders, strikes when some of the tasks are done, and sees the order through. */
async function strikeInTheMidst(strike: () => Promise<void>): Promise<void> {
  const order = await createArrayOrderer(own, TASKS);
  const orders = new Map<string, number>();
  for (let i = 0; i < STRIKES; i++) {
    const id = await order();
    orders.set(id, TASKS);
    const part = (TASKS * (i + 1)) / (STRIKES + 1);
    await until('some tasks are done', async () => ((await view(id))?.array?.done ?? 0) >= part);
    expect((await view(id))?.array?.done).toBeLessThan(TASKS);
    await strike();
    await until('it is settled', async () => (await view(id))?.status === 'settled');
    expect((await view(id))?.array).toMatchObject({ done: TASKS, failed: 0 });
  }
  const paid = await paidUnits(machine.urls.node, orders);
  expect({ lost: paid.lost, paidTwice: paid.paidTwice }).toEqual({ lost: 0, paidTwice: 0 });
}

it('PostgreSQL killed in the midst of an array: every task is done, and paid once', async () => {
  await strikeInTheMidst(async () => {
    const watcher = machine.processes().find(({ name }) => name === 'postgres')?.pid ?? 0;
    const server = descendants(watcher).find(
      ({ parent, command }) => parent === watcher && /postgres.* -D /.test(command),
    );
    if (!server) throw new Error('no PostgreSQL found');
    process.kill(server.pid, 'SIGKILL');
    // The market ends with its database, as it must; its supervisor starts it again.
    await sleep(1_000);
    await own.kill();
    await until('the market serves again', async () =>
      own.start().then(
        () => true,
        () => false,
      ),
    );
  });
}, 400_000);

it('Redis fails over to one that knows nothing: every task is done, and paid once', async () => {
  const redis = await startRedis();
  if (!redis) return console.warn('skipped: there is no redis-server here');
  try {
    await own.kill();
    await own.start({ REDIS_URL: redis.url });
    await own.providersAreBack();
    await strikeInTheMidst(async () => {
      expect(await redis.keys()).toBeGreaterThan(0);
      await redis.failOver();
    });
  } finally {
    redis.stop();
  }
}, 400_000);
