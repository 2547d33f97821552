import { DELIVERY_DOMAIN, type Delivery, type ExitClass, deliveryBytes } from '#contracts';
import { RETRY_RULES, classOfDecline } from './retry.ts';
import { CHAIN, Driver, fact, manifestWith, offerOf, only, signerOf } from './testing/driver.ts';

const manifest = manifestWith();

function accepted(driver: Driver): string {
  const reply = driver.submit(driver.order(manifest), manifest);
  if (reply.is !== 'order') throw new Error(JSON.stringify(reply));
  driver.block([fact(reply.view.id, 'placed')]);
  return reply.view.id;
}

/** Binds the order and lets whoever has it end so; says who it was. */
function endAttempt(driver: Driver, id: string, exit: ExitClass): string {
  driver.wait(30_000);
  const row = () => driver.market.orders.get(id);
  const binding = row()?.binding ?? 0;
  driver.apply({ kind: 'bindingDue', request: 'q', order: id, binding });
  const { lease, provider, fence } = row()?.lease ?? { lease: '', provider: '', fence: 0 };
  const name = ['p1', 'p2', 'p3', 'p4'].find((one) => signerOf(one).account === provider) ?? '';
  driver.say(name, { kind: 'accept', lease });
  const log = row()?.log ?? { length: 0, head: '' };
  const delivery: Delivery = {
    ...{ chain: CHAIN, order: id, provider, fence, exit, charge: 0n },
    usage: { cpuMs: 0, wallMs: 0, peakMemoryBytes: 0, inputBytes: 0, outputBytes: 0 },
    ...{ logLength: log.length, logHead: log.head },
  };
  const signer = signerOf(name);
  const signature = signer.sign(DELIVERY_DOMAIN, deliveryBytes(delivery));
  const signed = { delivery, publicKey: signer.publicKey, signature };
  driver.say(name, { kind: 'deliver', lease, delivery: signed });
  driver.say(name, { kind: 'heartbeat', freeSlots: 1, leases: [] });
  return name;
}

const longOrder = (driver: Driver) => {
  const completeByUs = driver.nowUs + 3_600_000_000;
  const order = driver.order(manifest, { completeByUs });
  const reply = driver.submit(order, manifest);
  if (reply.is !== 'order') throw new Error(JSON.stringify(reply));
  driver.block([fact(reply.view.id, 'placed')]);
  return reply.view.id;
};

describe('an order that ends slots', () => {
  test('of three different providers is stopped with the reason, and its money asked back', () => {
    const driver = new Driver();
    for (const name of ['p1', 'p2', 'p3', 'p4']) driver.join(name);
    const id = longOrder(driver);
    const names = [1, 2, 3].map(() => endAttempt(driver, id, 'crash'));
    expect(new Set(names).size).toBe(3);
    expect(driver.market.orders.get(id)).toMatchObject({
      work: 'failed',
      reason: {
        code: 'MARKET_POISON',
        text: expect.stringMatching(/^it ended the slots of 3 different providers, last: .*crash/),
      },
    });
    driver.block([]);
    expect([...driver.market.transactions.keys()].join()).toContain(`cancel/${id}`);
  });

  test('of one provider again and again is that provider’s matter until its attempts are used up', () => {
    const driver = new Driver();
    driver.join('p1');
    const id = longOrder(driver);
    for (let i = 0; i < 4; i++) endAttempt(driver, id, 'crash');
    expect(driver.market.orders.get(id)).toMatchObject({ work: 'queued', faults: 4 });
    endAttempt(driver, id, 'refused');
    expect(driver.market.orders.get(id)?.reason?.code).toBe('MARKET_GIVEN_UP');
  });
});

describe('classes of retries', () => {
  test.each([
    ['PROVIDER_BUSY', true, 'room'],
    ['PROVIDER_DRAINING', false, 'room'],
    ['PROVIDER_STORAGE', false, 'room'],
    ['PROVIDER_STORAGE', true, 'cannot'],
    ['PROVIDER_SLOT', true, 'slot'],
    ['PROVIDER_RESTARTED', true, 'silence'],
    ['PROVIDER_STOPPING', true, 'room'],
  ])('%s while working %s is %s', (code, wasWorking, expected) => {
    expect(classOfDecline(code, wasWorking)).toBe(expected);
  });

  test('whoever has no room is not to blame, and its order comes again sooner', () => {
    const driver = new Driver();
    driver.join('p1');
    const id = accepted(driver);
    const binding = driver.market.orders.get(id)?.binding ?? 0;
    driver.apply({ kind: 'bindingDue', request: 'q', order: id, binding });
    const lease = driver.market.orders.get(id)?.lease?.lease ?? '';
    driver.say('p1', { kind: 'decline', lease, code: 'PROVIDER_BUSY', reason: 'full' });
    expect(driver.market.orders.get(id)).toMatchObject({ work: 'queued', faults: 0 });
    expect(driver.market.providers.get(signerOf('p1').account)?.row.faults).toBe(0);
    expect(only(driver.wait(300), 'enqueueBinding')).toHaveLength(1);
    expect(RETRY_RULES.cannot.backoffFactor).toBeGreaterThan(RETRY_RULES.room.backoffFactor);
  });
});

describe('heartbeats', () => {
  test('come ten times as often on the fast level, where silence is borne for two seconds', () => {
    const driver = new Driver();
    const welcome = (name: string, level: 'fast' | 'standard') =>
      only(driver.join(name, { level }), 'sendAgent')[0]?.message;
    expect(welcome('p1', 'standard')).toMatchObject({ heartbeatMs: 5_000, leaseMs: 15_000 });
    expect(welcome('p2', 'fast')).toMatchObject({ heartbeatMs: 500, leaseMs: 2_000 });
  });

  test('that stop right after a lease began are missed within the time of a lease, not of its offer', () => {
    const driver = new Driver();
    driver.join('p1', { level: 'fast' });
    const id = accepted(driver);
    const binding = driver.market.orders.get(id)?.binding ?? 0;
    driver.apply({ kind: 'bindingDue', request: 'q', order: id, binding });
    const lease = driver.market.orders.get(id)?.lease?.lease ?? '';
    driver.say('p1', { kind: 'accept', lease });
    driver.wait(500);
    driver.say('p1', { kind: 'heartbeat', freeSlots: 0, leases: [lease] });
    for (let waitedMs = 0; waitedMs < 1_900; waitedMs += 100) driver.wait(100);
    expect(driver.market.orders.get(id)?.work).toBe('leased');
    for (let waitedMs = 0; waitedMs < 200; waitedMs += 100) driver.wait(100);
    expect(driver.market.orders.get(id)?.work).toBe('queued');
  });

  test('unread because the market itself slept are not held against the provider', () => {
    const driver = new Driver();
    driver.join('p1');
    const id = accepted(driver);
    const binding = driver.market.orders.get(id)?.binding ?? 0;
    driver.apply({ kind: 'bindingDue', request: 'q', order: id, binding });
    const lease = driver.market.orders.get(id)?.lease?.lease ?? '';
    driver.say('p1', { kind: 'accept', lease });
    driver.wait(40_000);
    expect(driver.market.orders.get(id)?.work).toBe('leased');
    driver.say('p1', { kind: 'heartbeat', freeSlots: 0, leases: [lease] });
    driver.wait(14_000);
    expect(driver.market.orders.get(id)?.work).toBe('leased');
    driver.wait(2_000);
    expect(driver.market.orders.get(id)).toMatchObject({ work: 'queued', faults: 1 });
  });

  test('the welcome tells the time of the market, by which the agent judges dates', () => {
    const driver = new Driver();
    const [welcome] = only(driver.join('p1', offerOf('p1')), 'sendAgent');
    expect(welcome?.message).toMatchObject({ kind: 'welcome', timeUs: driver.nowUs });
  });
});
