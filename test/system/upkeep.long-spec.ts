/** What an operator does to a running market, and what may happen to it. One machine for all of it. */
import { randomBytes } from 'node:crypto';
import { realpathSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ordersCalls } from '#contracts';
import { createSigner } from '#libs/crypto';
import { utf8 } from '#libs/kernel';
import { createNodeClient, sendCalls } from '#libs/sdk';
import { FakeAgent, type LeaseMessage } from '../../apps/market/src/testing/fake-agent.ts';
import { type LocalMachine, startLocalMachine } from '../support/local-machine.ts';
import { checkMoney } from '../support/money.ts';
import { receiptVerifies, tellFates } from '../support/order-fates.ts';
import { descendants } from '../support/process-tree.ts';

const CAP = 300_000_000n;
/** Works for about a second of processor time. */
const SLOW = `export default ({ params }) => {
  let x = 1;
  for (let i = 0; i < params.rounds; i++) x = (x * 1103515245 + 12345) % 2147483648;
  return x;
};`;

let machine: LocalMachine;
const orders: string[] = [];

beforeAll(async () => {
  machine = await startLocalMachine();
}, 120_000);
afterAll(() => machine.stop());

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`not in time: ${what}`);
    await sleep(20);
  }
}

describe('a provider that is drained', () => {
  it('finishes its job, takes no other meanwhile, and is gone', async () => {
    const added = await machine.seele(
      'provider',
      'add',
      'garage',
      '--slots',
      '2',
      '--price',
      '0.0001',
    );
    expect([added.code, added.stderr]).toEqual([0, '']);
    const order = await machine.orderer({
      ...{ code: SLOW, params: { rounds: 3e8 }, priceCap: CAP, tier: 'A' },
    });
    const first = await order();
    const garage = async () =>
      (await machine.market.providers()).find(({ name }) => name === 'garage');
    await until('garage works', async () => (await garage())?.leases === 1);
    const draining = machine.seele('provider', 'drain', 'garage');
    await until('the market knows', async () => (await garage())?.draining === true);
    expect(await garage()).toMatchObject({ leases: 1, freeSlots: 0, online: true });
    const second = await order();
    orders.push(first, second);
    const [one, two] = await Promise.all(
      orders.map((id) => machine.market.waitForEnd(id, { timeoutMs: 90_000 })),
    );
    const account = (await garage())?.provider;
    expect(one).toMatchObject({ status: 'settled', provider: account, attempts: 1 });
    expect(two).toMatchObject({ status: 'settled', attempts: 1 });
    expect(two?.provider).not.toBe(account);
    expect(await draining).toMatchObject({ code: 0, stdout: 'garage is drained.\n' });
    expect(machine.processes().map(({ name }) => name)).not.toContain('provider-garage');
  }, 150_000);
});

describe('why', () => {
  it('says of a job what it waits for, and what would help at which price', async () => {
    const agent = new FakeAgent({
      ...{ url: machine.urls.market, chain: machine.chain, offer: { isolation: 'S4' } },
      signer: createSigner(new Uint8Array(randomBytes(32))),
      onLease: (self, { lease }) =>
        self.send({ kind: 'decline', lease, code: 'PROVIDER_BUSY', reason: 'full' }),
    });
    await agent.next('welcome');
    const code = 'export default () => 1';
    const submit = await machine.orderer({ code, minIsolation: 'S4', priceCap: CAP });
    const asked = agent.next('lease');
    const id = await submit();
    orders.push(id);
    await asked;
    await agent.close();
    await until('alone', async () => (await machine.market.why(id)).waiting?.fitting === 0);
    const { waiting } = await machine.market.why(id);
    expect(waiting?.filters).toContainEqual(expect.objectContaining({ code: 'isolation' }));
    expect(waiting?.relaxations[0]?.changes).toMatchObject([{ field: 'minIsolation', from: 'S4' }]);
    const told = await machine.seele('why', id);
    expect([told.code, told.stderr]).toEqual([0, '']);
    expect(told.stdout).toMatch(/waits: no provider that is there fits/);
    expect(told.stdout).toMatch(
      /it would run with\n {2}minIsolation S4 → S\d \(.+, at most [\d.]+\)/,
    );
    expect((await machine.seele('job', 'cancel', id)).code).toBe(0);
    const ended = await machine.seele('why', id, '--json');
    const { decisions } = JSON.parse(ended.stdout) as { decisions: { kind: string }[] };
    const kinds = decisions.map(({ kind }) => kind);
    expect(kinds[0]).toBe('accepted');
    expect(kinds).toEqual(expect.arrayContaining(['leased', 'lost', 'cancelled']));
  }, 60_000);
});

describe('a market whose database is lost', () => {
  /** Kills PostgreSQL and deletes everything it ever wrote; the supervisor starts it anew. */
  const loseDatabase = () => {
    const owner = machine.processes().find(({ name }) => name === 'postgres')?.pid ?? 0;
    const data = realpathSync(join(machine.home, 'postgres/data'));
    for (const { pid, command } of descendants(owner))
      if (command.includes(' -D ')) process.kill(pid, 'SIGKILL');
    rmSync(data, { recursive: true, force: true, maxRetries: 5, retryDelay: 20 });
  };

  it('gives every order that the chain has its end: paid once, or refunded', async () => {
    const submit = async (params: object, more: object = {}) => {
      const code = SLOW;
      const order = await machine.orderer({ code, params, priceCap: CAP, tier: 'A', ...more });
      return order();
    };
    const ended = await submit({ rounds: 1 });
    await machine.market.waitForEnd(ended, { timeoutMs: 30_000 });
    // In each state: ended, at work, waiting for a slot, and delivered to the chain but not settled.
    const open: string[] = [];
    for (let i = 0; i < 5; i++) open.push(await submit({ rounds: 1.5e8 + i }));
    const chainOf = async (id: string) => (await machine.market.order(id)).chain.state;
    const { cid: result } = await machine.store.put(utf8('"relayed"'), { pin: true });
    let taken: LeaseMessage | undefined;
    const agent = new FakeAgent({
      ...{ url: machine.urls.market, chain: machine.chain, result, offer: { slots: 1 } },
      signer: createSigner(new Uint8Array(randomBytes(32))),
      onLease: (self, lease) => {
        self.send({ kind: 'accept', lease: lease.lease });
        taken ??= lease;
      },
    });
    await agent.next('welcome');
    open.push(await submit({ rounds: 2 }));
    orders.push(ended, ...open);
    await until('leased', () => Promise.resolve(taken !== undefined));
    const lease = taken as unknown as LeaseMessage;
    for (const id of open) await until('placed', async () => (await chainOf(id)) !== 'none');
    await until('bound', async () => (await chainOf(lease.order)) === 'bound');
    const node = createNodeClient(machine.urls.node);
    await sendCalls(node, machine.signer, [ordersCalls.deliver(agent.sign(lease))]);
    const { market } = machine;
    loseDatabase();
    await agent.close();
    const fates = await tellFates(machine, [ended, ...open], () => {}, 0);
    expect(fates).toMatchObject({ jobsLost: 0, paidTwice: 0, unbalanced: 0, jobsGivenBack: 0 });
    const relayed = await market.order(lease.order);
    expect(relayed).toMatchObject({ status: 'settled', result, charge: '2', logLost: true });
    const rebuilt = await market.order(ended);
    expect(rebuilt).toMatchObject({ status: 'settled', logLost: true, exit: 'ok' });
    await expect(market.receipt(ended, { timeoutMs: 5_000 })).rejects.toMatchObject({
      code: 'MARKET_LOG_LOST',
    });
    const proofs = [];
    for (const id of open)
      if ((await market.order(id)).logLost !== true)
        proofs.push(await receiptVerifies(machine, id));
    expect(proofs.length).toBeGreaterThan(0);
    expect(proofs).toEqual(proofs.map(() => true));
    const next = await submit({ rounds: 2 });
    orders.push(next);
    expect(await market.waitForEnd(next, { timeoutMs: 30_000 })).toMatchObject({
      status: 'settled',
    });
    expect(await receiptVerifies(machine, next)).toBe(true);
  }, 180_000);
});

it('after all of it no money was made or lost', async () => {
  expect(await checkMoney(machine, orders)).toMatchObject({ paidTwice: 0, unbalanced: 0 });
});
