import fc from 'fast-check';
import { DELIVERY_DOMAIN, type Delivery, deliveryBytes, orderId } from '#contracts';
import { MARKET_ENTRIES } from '#libs/audit';
import { decodeWith } from '#libs/kernel';
import type { Manifest, OrderInput } from '../manifest.ts';
import { DEFAULT_MARKET_CAPS } from '../model/config.ts';
import type { MarketEffect } from '../model/effects.ts';
import type { Submission } from '../model/events.ts';
import { UNFINISHED } from '../model/rows.ts';
import { chargeFor, priceAtLimits } from '../pricing.ts';
import { bindAll, deliver, executeAll } from '../testing/array-driver.ts';
import {
  CHAIN,
  Driver,
  SOME_CID,
  configOf,
  fact,
  manifestWith,
  offerOf,
  only,
  replyIn,
  signerOf,
} from '../testing/driver.ts';
import { waitingOf } from '../why.ts';

const OTHER_CID = 'bafkqaaa';

/** A market with room for everything. */
function withProvider(driver = new Driver()): Driver {
  driver.join('p1', { slots: 64, cores: 256, memoryBytes: 2 ** 40 });
  return driver;
}

const reading = (...orders: readonly string[]): Manifest =>
  manifestWith({ from: orders.map((order, i) => ({ name: `in${i}`, order })) });

function made(driver: Driver, manifest: Manifest, change = {}): Submission & { id: string } {
  const order = driver.order(manifest, change);
  return { order, manifest, id: orderId(order.order) };
}

function submit(driver: Driver, orders: readonly Submission[], amount = 10n ** 10n) {
  const balance = { amount, height: 0 };
  return replyIn(driver.apply({ kind: 'submitGraph', request: 'g', orders, balance }));
}

const workOf = (driver: Driver, id: string) => driver.market.orders.get(id)?.work;
const rowOf = (driver: Driver, id: string) => {
  const row = driver.market.orders.get(id);
  if (!row) throw new Error(`no order ${id}`);
  return row;
};

const due = (driver: Driver, id: string): readonly MarketEffect[] =>
  driver.apply({
    ...{ kind: 'bindingDue', request: 'q', order: id },
    binding: rowOf(driver, id).binding,
  });

const leasesIn = (effects: readonly MarketEffect[]) =>
  only(effects, 'sendAgent').flatMap(({ message }) => (message.kind === 'lease' ? [message] : []));

/** The agent that has it delivers; storage has not been asked yet. */
function giveIn(driver: Driver, id: string, change: Partial<Delivery> = {}) {
  const { lease, fence, log } = rowOf(driver, id);
  if (!lease) throw new Error(`${id} is not leased`);
  const signer = signerOf('p1');
  const used = { cpuMs: 1000, wallMs: 1000 };
  const { limits } = manifestWith();
  const price = priceAtLimits(offerOf('p1'), limits);
  const delivery: Delivery = {
    ...{ chain: CHAIN, order: id, provider: signer.account, fence, exit: 'ok', result: SOME_CID },
    usage: { ...used, peakMemoryBytes: 1, inputBytes: 0, outputBytes: 10 },
    charge: chargeFor(offerOf('p1'), limits, used, price),
    ...{ logLength: log.length, logHead: log.head, ...change },
  };
  if (delivery.exit !== 'ok') delete (delivery as { result?: string }).result;
  const signature = signer.sign(DELIVERY_DOMAIN, deliveryBytes(delivery));
  const told = { delivery, publicKey: signer.publicKey, signature };
  driver.say('p1', { kind: 'accept', lease: lease.lease });
  const said = driver.say('p1', { kind: 'deliver', lease: lease.lease, delivery: told });
  return { said, fence, hasResult: delivery.result !== undefined };
}

/** The same, and storage has the result. */
function deliverOne(driver: Driver, id: string, change: Partial<Delivery> = {}) {
  const { said, fence, hasResult } = giveIn(driver, id, change);
  if (!hasResult) return said;
  const outcome = { is: 'good', sizeBytes: 10 } as const;
  return driver.apply({ kind: 'resultChecked', order: id, fence, outcome });
}

/** Runs one order to its accepted delivery. */
function run(driver: Driver, id: string, change: Partial<Delivery> = {}) {
  if (workOf(driver, id) === 'queued') due(driver, id);
  return deliverOne(driver, id, change);
}

const inputsLogged = (effects: readonly MarketEffect[]) =>
  only(effects, 'jobEvent')
    .filter(({ event }) => event.kind === 'input')
    .map(({ event }) => decodeWith(MARKET_ENTRIES.input, event.data));

describe('orders that read results of others', () => {
  it('wait without a lease, then get what those came to, in the log and with the lease', () => {
    const driver = withProvider();
    const a = made(driver, manifestWith());
    const b = made(driver, reading(a.id));
    expect(submit(driver, [a, b])).toMatchObject({
      is: 'orders',
      repeated: false,
      views: [{ work: 'queued' }, { work: 'blocked', status: 'blocked' }],
    });
    expect(leasesIn(due(driver, b.id))).toEqual([]);
    const waiting = waitingOf(driver.market, rowOf(driver, b.id), driver.nowMs);
    expect(waiting?.text).toContain(`"in0" of order ${a.id.slice(0, 12)}, which is queued`);
    const effects = run(driver, a.id);
    expect(inputsLogged(effects)).toEqual([
      { name: 'in0', order: a.id, result: SOME_CID, cid: SOME_CID, sizeBytes: 10 },
    ]);
    expect(workOf(driver, b.id)).toBe('queued');
    const [lease] = leasesIn(due(driver, b.id));
    expect(lease?.inputs).toEqual([{ name: 'in0', cid: SOME_CID, sizeBytes: 10 }]);
    expect(rowOf(driver, b.id).needs.inputs).toEqual([{ cid: SOME_CID, sizeBytes: 10 }]);
    deliverOne(driver, b.id);
    expect(workOf(driver, b.id)).toBe('done');
  });

  it('are placed on the chain at once, so that their money is there when their turn comes', () => {
    const driver = withProvider();
    const a = made(driver, manifestWith());
    const b = made(driver, reading(a.id));
    submit(driver, [a, b]);
    executeAll(driver);
    expect(rowOf(driver, b.id).chain.state).toBe('placed');
    expect(driver.market.transactions.size).toBe(0);
  });

  it('end with a reason, one after the other, when one fails or is cancelled; money goes back', () => {
    const driver = withProvider();
    const a = made(driver, manifestWith());
    const b = made(driver, reading(a.id));
    const c = made(driver, reading(b.id));
    const alone = made(driver, manifestWith());
    submit(driver, [a, b, c, alone]);
    executeAll(driver);
    const by = signerOf('ann').account;
    driver.apply({ kind: 'cancelOrder', request: 'c', order: a.id, by });
    for (const [order, other] of [
      [b, a],
      [c, b],
    ] as const)
      expect(rowOf(driver, order.id)).toMatchObject({
        work: 'failed',
        reason: {
          code: 'MARKET_INPUT_FAILED',
          text: expect.stringContaining(`input order ${other.id} `),
        },
      });
    expect(rowOf(driver, c.id).reason?.text).toContain('cancelled by its consumer');
    expect(workOf(driver, alone.id)).toBe('queued');
    for (let i = 0; i < 4; i++) executeAll(driver);
    for (const { id } of [a, b, c])
      expect(rowOf(driver, id)).toMatchObject({ chain: { state: 'cancelled' } });
  });

  it('end when one that they read gave no result', () => {
    const driver = withProvider();
    const a = made(driver, manifestWith());
    const b = made(driver, reading(a.id));
    submit(driver, [a, b]);
    run(driver, a.id, { exit: 'guest-error' });
    expect(rowOf(driver, b.id)).toMatchObject({
      work: 'failed',
      reason: { text: `input order ${a.id} ended as guest-error, without a result` },
    });
  });

  it('do not begin anew when what they read failed while their own result was looked at', () => {
    const driver = withProvider();
    const a = made(driver, manifestWith());
    const b = made(driver, reading(a.id));
    submit(driver, [a, b]);
    due(driver, a.id);
    deliverOne(driver, a.id);
    due(driver, b.id);
    expect(workOf(driver, b.id)).toBe('leased');
    giveIn(driver, b.id);
    expect(workOf(driver, b.id)).toBe('checking');
    // The chain was given another delivery of the first: it counts no more.
    driver.block([fact(a.id, 'placed')]);
    driver.block([fact(a.id, 'bound', 1, { provider: signerOf('p1').account })]);
    driver.block([fact(a.id, 'delivered', 1, { delivery: 'ab'.repeat(32) })]);
    expect(workOf(driver, a.id)).toBe('failed');
    expect(workOf(driver, b.id)).toBe('checking');
    driver.apply({ kind: 'resultChecked', order: b.id, fence: 1, outcome: { is: 'too-large' } });
    expect(rowOf(driver, b.id)).toMatchObject({
      ...{ work: 'failed', reason: { code: 'MARKET_INPUT_FAILED' } },
    });
  });

  it('are the same orders when the graph is sent again, whatever became of them', () => {
    const driver = withProvider();
    const a = made(driver, manifestWith());
    const b = made(driver, reading(a.id));
    submit(driver, [a]);
    expect(submit(driver, [a, b])).toMatchObject({ repeated: false });
    run(driver, a.id);
    expect(submit(driver, [a, b], 0n)).toMatchObject({
      repeated: true,
      views: [{ work: 'done' }, { work: 'queued' }],
    });
    expect(driver.market.orders.size).toBe(2);
  });

  it('take what is there already, and fail at once on what never will be', () => {
    const driver = withProvider();
    const a = made(driver, manifestWith());
    const b = made(driver, manifestWith());
    submit(driver, [a, b]);
    run(driver, a.id);
    run(driver, b.id, { exit: 'guest-error' });
    const good = made(driver, reading(a.id));
    submit(driver, [good]);
    expect(workOf(driver, good.id)).toBe('queued');
    const bad = made(driver, reading(b.id));
    submit(driver, [bad]);
    expect(workOf(driver, bad.id)).toBe('failed');
  });

  it('are all taken or none; a refusal says which and why', () => {
    const driver = withProvider();
    const a = made(driver, manifestWith());
    const b = made(driver, reading(a.id), { completeByUs: driver.nowUs + 1 });
    expect(submit(driver, [a, b])).toMatchObject({
      is: 'refused',
      at: 1,
      code: 'MARKET_ORDER_DATES',
    });
    expect(driver.market.orders.size).toBe(0);
    const [c, d] = [made(driver, manifestWith()), made(driver, manifestWith())];
    expect(submit(driver, [c, d], 1_500_000n)).toMatchObject({
      at: 1,
      code: 'MARKET_BALANCE_TOO_LOW',
    });
    expect(driver.market.orders.size).toBe(0);
    expect(submit(driver, [c, d], 2_000_000n)).toMatchObject({ is: 'orders' });
  });

  it.each([
    ['MARKET_INPUT_UNKNOWN', { order: 'ee'.repeat(32) }],
    ['MARKET_INPUT_SHAPE', { task: 0 }],
  ] as const)('are refused: %s', (code, change: Partial<OrderInput>) => {
    const driver = withProvider();
    const a = made(driver, manifestWith());
    const from = [{ name: 'x', order: a.id, ...change }];
    const b = made(driver, manifestWith({ from }));
    expect(submit(driver, [a, b])).toMatchObject({ is: 'refused', code, at: 1 });
  });

  it('are refused when they read orders of others, failed ones, later ones, or too many', () => {
    const driver = withProvider(
      new Driver(configOf({ caps: { ...DEFAULT_MARKET_CAPS, openOrders: 3000 } })),
    );
    const foreign = driver.order(manifestWith(), {}, signerOf('bob'));
    driver.submit(foreign, manifestWith());
    const code = (...orders: readonly Submission[]) => {
      const reply = submit(driver, orders);
      return reply.is === 'refused' ? reply.code : reply.is;
    };
    expect(code(made(driver, reading(orderId(foreign.order))))).toBe('MARKET_INPUT_FOREIGN');
    const a = made(driver, manifestWith());
    const b = made(driver, reading(a.id));
    expect(code(b, a)).toBe('MARKET_INPUT_UNKNOWN');
    submit(driver, [a]);
    driver.apply({ kind: 'cancelOrder', request: 'c', order: a.id, by: signerOf('ann').account });
    expect(code(b)).toBe('MARKET_INPUT_FAILED');
    let last = made(driver, manifestWith());
    submit(driver, [last]);
    for (let depth = 1; depth <= 100; depth++) {
      last = made(driver, reading(last.id), { completeByUs: driver.nowUs + 10 ** 12 / 4 });
      expect(code(last)).toBe('orders');
    }
    expect(code(made(driver, reading(last.id)))).toBe('MARKET_GRAPH_LIMIT');
    expect(code()).toBe('MARKET_GRAPH_LIMIT');
    expect(code(...Array.from({ length: 101 }, () => made(driver, manifestWith())))).toBe(
      'MARKET_GRAPH_LIMIT',
    );
  });

  it('are refused when their inputs cannot be there in time', () => {
    const driver = withProvider();
    const slow = manifestWith({
      limits: { ...manifestWith().limits, wallMs: 600_000, cpuMs: 1000 },
    });
    const far = { completeByUs: driver.nowUs + 10_000_000_000 };
    const a = made(driver, slow, far);
    const b = made(driver, { ...slow, from: [{ name: 'x', order: a.id }] }, far);
    const c = made(driver, reading(b.id), { completeByUs: driver.nowUs + 60_000_000 });
    expect(submit(driver, [a, b, c])).toMatchObject({
      ...{ is: 'refused', at: 2, code: 'MARKET_DEADLINE' },
      message: expect.stringMatching(/^what it reads is foreseen in \d+ ms; from then on/),
    });
  });

  it('read one task of many, all of them as one list, or each its own', () => {
    const driver = withProvider();
    const unitPrice = 20_000n;
    const array = { tasks: 3, replicas: 1 };
    const terms = { array: { ...array, unitPrice }, priceCap: unitPrice * 3n };
    const many = made(driver, manifestWith({ array }), terms);
    const one = made(driver, manifestWith({ from: [{ name: 'x', order: many.id, task: 2 }] }));
    const all = made(driver, reading(many.id));
    const taskInput = { name: 'x', order: many.id };
    const each = made(driver, manifestWith({ array: { ...array, taskInput } }), terms);
    const wrong = { ...array, tasks: 4, taskInput };
    const other = made(driver, manifestWith({ array: wrong }), {
      ...{ array: { tasks: 4, replicas: 1, unitPrice }, priceCap: unitPrice * 4n },
    });
    expect(submit(driver, [many, other])).toMatchObject({ code: 'MARKET_INPUT_SHAPE' });
    expect(submit(driver, [many, one, all, each])).toMatchObject({ is: 'orders' });
    executeAll(driver);
    const [lease] = bindAll(driver, many.id);
    if (!lease) throw new Error('no batch');
    deliver(driver, 'p1', lease);
    expect(workOf(driver, one.id)).toBe('blocked');
    const effects = driver.apply({ kind: 'resultStored', order: many.id, cid: OTHER_CID });
    const kind = 'makeInput';
    expect(only(effects, kind)).toEqual([
      { kind, order: one.id, name: 'x', result: OTHER_CID, task: 2 },
      { kind, order: all.id, name: 'in0', result: OTHER_CID },
      { kind, order: each.id, name: 'x', result: OTHER_CID, isEach: true },
    ]);
    // Asked again until it is there, after a restart too.
    expect(only(driver.wait(5_001), 'makeInput')).toHaveLength(3);
    expect(only(driver.restart(), 'makeInput')).toHaveLength(3);
    driver.apply({ kind: 'nonceRead', nonce: 0, height: 0 });
    driver.join('p1', { slots: 64, cores: 256, memoryBytes: 2 ** 40 });
    const good = { is: 'good', cid: SOME_CID, sizeBytes: 7 } as const;
    driver.apply({ kind: 'inputMade', order: one.id, name: 'x', outcome: good });
    driver.apply({ kind: 'inputMade', order: each.id, name: 'x', outcome: good });
    const text = 'task 1 has no output';
    const outcome = { is: 'impossible', text } as const;
    driver.apply({ kind: 'inputMade', order: all.id, name: 'in0', outcome });
    expect(rowOf(driver, all.id).reason?.text).toBe(`input order ${many.id}: ${text}`);
    expect(leasesIn(due(driver, one.id))[0]?.inputs).toEqual([
      { name: 'x', cid: SOME_CID, sizeBytes: 7 },
    ]);
    driver.apply({
      ...{ kind: 'balanceRead', account: signerOf('ann').account },
      balance: { amount: 10n ** 10n, height: driver.market.meta.height },
    });
    const [units] = bindAll(driver, each.id);
    expect(units).toMatchObject({ taskInputs: SOME_CID });
  });

  it('whose way behind is longest go first among waiting orders of one account', () => {
    const driver = new Driver();
    driver.join('p1', { slots: 1 });
    const busy = made(driver, manifestWith());
    submit(driver, [busy]);
    due(driver, busy.id);
    const [early, root] = [made(driver, manifestWith()), made(driver, manifestWith())];
    const long = { completeByUs: driver.nowUs + 10 ** 10 };
    const b = made(driver, reading(root.id), long);
    const c = made(driver, reading(b.id), long);
    submit(driver, [early, root, b, c]);
    due(driver, early.id);
    due(driver, root.id);
    const [next] = leasesIn(deliverOne(driver, busy.id));
    expect(next?.order).toBe(root.id);
  });

  it('start after what they read, end all, and survive a restart between any two events (property)', () => {
    const graph = fc.array(fc.array(fc.nat(6), { maxLength: 3 }), { minLength: 2, maxLength: 7 });
    const steps = fc.array(
      fc.tuple(fc.nat(6), fc.constantFrom('run', 'fail', 'cancel', 'restart')),
      {
        maxLength: 24,
      },
    );
    fc.assert(
      fc.property(graph, steps, (edges, actions) => {
        const driver = withProvider();
        const orders: (Submission & { id: string })[] = [];
        for (const [i, reads] of edges.entries()) {
          const makers = [...new Set(reads.filter((r) => r < i).map((r) => orders[r]?.id ?? ''))];
          orders.push(made(driver, reading(...makers), { priceCap: 1_000_000n }));
        }
        expect(submit(driver, orders)).toMatchObject({ is: 'orders' });
        const check = () => {
          for (const { id } of orders) {
            const { work, sources = [] } = rowOf(driver, id);
            const makers = sources.map(({ order }) => workOf(driver, order));
            if (work === 'blocked')
              expect(makers.some((w) => w !== undefined && UNFINISHED.has(w))).toBe(true);
            else if (work !== 'failed' && work !== 'cancelled')
              expect(makers.every((w) => w === 'done')).toBe(true);
          }
        };
        const act = (at: number, action: string) => {
          const id = orders[at % orders.length]?.id ?? '';
          const work = workOf(driver, id);
          if (action === 'restart') {
            driver.restart();
            driver.apply({ kind: 'nonceRead', nonce: 0, height: driver.market.meta.height });
            driver.join('p1', { slots: 64, cores: 256, memoryBytes: 2 ** 40 });
          } else if (action === 'cancel')
            driver.apply({
              kind: 'cancelOrder',
              request: 'c',
              order: id,
              by: signerOf('ann').account,
            });
          else if (work === 'queued')
            run(driver, id, action === 'run' ? {} : { exit: 'guest-error' });
          check();
        };
        check();
        for (const [at, action] of actions) act(at, action);
        // Whatever is left is run: nothing waits for ever.
        for (let i = 0; i < orders.length; i++)
          for (let at = 0; at < orders.length; at++) act(at, 'run');
        expect(orders.every(({ id }) => !UNFINISHED.has(workOf(driver, id) ?? 'queued'))).toBe(
          true,
        );
      }),
      { numRuns: 60 },
    );
  });
});
