/** What an operator does to a running market, and what may happen to it. One machine for all of it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type LocalMachine, startLocalMachine } from '../support/local-machine.ts';
import { checkMoney } from '../support/money.ts';

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
      orders.map((id) => machine.market.waitForEnd(id, { timeoutMs: 40_000 })),
    );
    const account = (await garage())?.provider;
    expect(one).toMatchObject({ status: 'settled', provider: account, attempts: 1 });
    expect(two).toMatchObject({ status: 'settled', attempts: 1 });
    expect(two?.provider).not.toBe(account);
    expect(await draining).toMatchObject({ code: 0, stdout: 'garage is drained.\n' });
    expect(machine.processes().map(({ name }) => name)).not.toContain('provider-garage');
  }, 60_000);
});

it('after all of it no money was made or lost', async () => {
  expect(await checkMoney(machine, orders)).toMatchObject({ paidTwice: 0, unbalanced: 0 });
});
