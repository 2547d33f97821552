/**
 * Drives the batch methods of contract `orders` and their model side by side through one generated
 * history and compares them after every step: purses, records, batches, and every unit's bit.
 */
import { type Bytes } from '#libs/kernel';
import type { HarnessOutcome } from '#libs/ledger';
import {
  BATCH_DELIVERY_DOMAIN,
  batchDeliveryBytes,
  batchRecord,
} from '../orders/batch-documents.ts';
import { batchKeys } from '../orders/batches.ts';
import { type Order, orderRecord } from '../orders/documents.ts';
import { ordersMethods } from '../orders/orders.ts';
import type { OrdersRules } from '../orders/rules.ts';
import { ORDERS_CONTRACT, ordersKeys, prepaid } from '../orders/state.ts';
import { decoded, expectSame, judge } from './judge-step.ts';
import { unitSetOf } from '../orders/units.ts';
import type { BatchStep, LiveArray, ModelArray, ModelBatch, Ranges } from './batches-model.ts';
import {
  type BatchChoice,
  type BatchHistory,
  PEOPLE,
  PREPAID,
  type Run,
  at,
  freeUnits,
  signerOf,
  start,
  stepOf,
} from './batches-stage.ts';
import { TIMES, type Tally, Violation } from './orders-stage.ts';
import { type World, ordersAccount } from './orders-world.ts';

function call({ world, documents }: Run, step: BatchStep): HarnessOutcome<unknown> {
  const by = signerOf(step.by).account;
  const order = step.order.id;
  const methods = ordersMethods;
  switch (step.kind) {
    case 'place': {
      const signed = world.signOrder(documents.get(order) as Order, signerOf('consumer'));
      return world.call(by, ORDERS_CONTRACT, methods.place, signed);
    }
    case 'bind': {
      const provider = signerOf(step.provider).account;
      const args = { order, provider, price: 0n, fence: step.fence };
      return world.call(by, ORDERS_CONTRACT, methods.bind, args);
    }
    case 'bindUnits': {
      const { fence, price: unitPrice } = step;
      const provider = signerOf(step.provider).account;
      const args = { order, provider, unitPrice, fence, units: [...step.units] };
      return world.call(by, ORDERS_CONTRACT, methods.bindUnits, args);
    }
    case 'deliverUnits': {
      const { fence, charge } = step;
      const chain = step.ownChain ? world.chain : 'cc'.repeat(32);
      const provider = signerOf(step.provider).account;
      const root = 'ab'.repeat(32);
      const delivery = { chain, order, provider, fence, units: [...step.units], root, charge };
      const signer = signerOf(step.signedBy);
      const signature = signer.sign(BATCH_DELIVERY_DOMAIN, batchDeliveryBytes(delivery));
      // Whoever forges it may give either key.
      const key = step.fence % 2 === 0 ? signer : signerOf(step.provider);
      const signed = { delivery, publicKey: key.publicKey, signature };
      return world.call(by, ORDERS_CONTRACT, methods.deliverUnits, signed);
    }
    case 'settleUnits': {
      const { fence, withheld } = step;
      const given = withheld && { units: [...withheld.units], charge: withheld.charge };
      const args = { order, fence, ...(given && { withheld: given }) };
      return world.call(by, ORDERS_CONTRACT, methods.settleUnits, args);
    }
    case 'releaseUnits':
      return world.call(by, ORDERS_CONTRACT, methods.releaseUnits, { order, fence: step.fence });
    case 'cancel':
      return world.call(by, ORDERS_CONTRACT, methods.cancel, { order });
    case 'refund':
      return world.call(by, ORDERS_CONTRACT, methods.refund, { order });
  }
}

const prepaidOf = ({ world }: Run, name: string): bigint => {
  const bytes = world.get(ORDERS_CONTRACT, ordersKeys.prepaid(signerOf(name).account));
  return bytes ? decoded(prepaid, bytes).balance : 0n;
};

function compare(run: Run): void {
  const { world, model } = run;
  let owed = 0n;
  for (const name of PEOPLE) {
    const balance = world.balanceOf(signerOf(name).account);
    expectSame(`balance of ${name}`, balance, model.tokens.get(name) ?? 0n);
    const free = prepaidOf(run, name);
    expectSame(`prepaid of ${name}`, free, model.prepaid.get(name) ?? 0n);
    owed += free;
  }
  for (const order of run.orders) owed += compareOrder(run, order);
  expectSame('balance of orders', world.balanceOf(ordersAccount), owed);
}

/** One order against the model; gives what it holds. */
function compareOrder({ world, model }: Run, { id, tasks, replicas, cap }: ModelArray): bigint {
  const bytes = world.get(ORDERS_CONTRACT, ordersKeys.order(id));
  const live = model.live.get(id);
  expectSame('order is there', bytes !== undefined, live !== undefined);
  if (!bytes || !live) return 0n;
  const record = decoded(orderRecord, bytes);
  const batches = [...live.open.values()];
  const held = batches.reduce((sum, batch) => sum + batch.held, 0n);
  expectSame('state', record.state, live.stage);
  expectSame('fence', record.fence, live.highestFence);
  expectSame('held', record.escrow, held);
  expectSame('paid', record.paid, live.paid);
  expectSame('refunded', record.refunded, live.returned);
  expectSame('open batches', record.array?.open ?? 0, batches.length);
  expectSame('paid units', record.array?.settled ?? 0, live.paidUnits.size);
  expectSame('within the cap', record.escrow + record.paid <= cap, true);
  for (const batch of batches) compareBatch(world, id, batch);
  const taken = new Set([...live.paidUnits, ...batches.flatMap(({ units }) => units)]);
  const bits = world.get(ORDERS_CONTRACT, batchKeys.taken(id, 0));
  for (let unit = 0; unit < tasks * replicas; unit++)
    if (isSet(bits, unit) !== taken.has(unit))
      throw new Violation(`the bit of unit ${unit} is ${String(isSet(bits, unit))}`);
  return record.escrow;
}

const isSet = (bits: Bytes | undefined, unit: number): boolean =>
  (((bits?.[unit >> 3] ?? 0) >> (unit & 7)) & 1) === 1;

function compareBatch(world: World, id: string, batch: ModelBatch): void {
  const bytes = world.get(ORDERS_CONTRACT, batchKeys.batch(id, batch.fence));
  if (!bytes) throw new Violation(`batch ${batch.fence} is gone`);
  const record = decoded(batchRecord, bytes);
  expectSame('batch', record.state, batch.delivered ? 'delivered' : 'bound');
  expectSame('provider', record.provider, signerOf(batch.provider).account);
  expectSame('held by the batch', record.escrow, batch.held);
  expectSame('charge', record.delivery?.charge, batch.delivered?.charge);
}

function take(run: Run, step: BatchStep): boolean {
  const nowUs = run.world.timeUs;
  const outcome = call(run, step);
  judge(step.kind, outcome, run.model.step(step, nowUs), run.tally);
  if (outcome.ok && step.kind === 'settleUnits' && step.withheld)
    run.tally.set('withheld', (run.tally.get('withheld') ?? 0) + 1);
  compare(run);
  return outcome.ok;
}

function mustTake(run: Run, step: BatchStep): void {
  if (!take(run, step)) throw new Violation(`${step.kind} is stuck`);
}

/** Moves time on: to the very microsecond at which something may change, or by some. */
function advance({ world, model, orders }: Run, { order, pick, us }: BatchChoice): void {
  const { id, completeByUs } = at(orders, order) as ModelArray;
  const windows = [...(model.live.get(id)?.open.values() ?? [])].flatMap(({ delivered }) =>
    delivered ? [delivered.atUs + TIMES.settleWindowUs] : [],
  );
  const moments = [...windows, completeByUs, completeByUs + TIMES.deliveryGraceUs];
  const wait = (at(moments, pick) ?? 0) - world.timeUs;
  world.advance(wait > 0 && wait < 400 ? wait - (us % 2) : us);
}

/** Tries what is mostly not allowed, wherever the history got to; the model knows when it is. */
function probe(run: Run, isLate: boolean): void {
  const { world, model } = run;
  const { deliveryGraceUs } = TIMES;
  const placed = run.orders
    .filter(({ id }) => model.live.get(id)?.stage === 'placed')
    .toSorted((a, b) => a.completeByUs - b.completeByUs);
  for (const order of placed) {
    bindWrongly(run, order);
    deliverWrongly(run, order);
    callsOfStrangers(run, order);
    if (!isLate) continue;
    world.advance(Math.max(0, order.completeByUs - world.timeUs));
    callsOfStrangers(run, order);
    world.advance(Math.max(0, order.completeByUs + deliveryGraceUs - world.timeUs));
    for (const { fence, provider, units } of [...(model.live.get(order.id)?.open.values() ?? [])]) {
      const late = { kind: 'deliverUnits', by: 'x', order, provider, signedBy: provider } as const;
      take(run, { ...late, fence, units: unitSetOf(units), charge: 0n, ownChain: true });
    }
  }
}

/** One unit more than the cap has room for; a unit of another batch; fences that are not free. */
function bindWrongly(run: Run, order: ModelArray): void {
  const live = run.model.live.get(order.id) as LiveArray;
  const { cap, unitPrice } = order;
  const batches = [...live.open.values()];
  const held = batches.reduce((sum, batch) => sum + batch.held, 0n);
  const most = unitPrice === 0n ? 1 : Number((cap - live.paid - held) / unitPrice) + 1;
  const free = freeUnits(order, live, 0, 1);
  const fence = live.highestFence + 1;
  const used = batches[0]?.fence ?? fence;
  const taken = [...live.paidUnits, ...batches.flatMap(({ units }) => units)].slice(-1);
  const bind = (price: bigint, under: number, units: Ranges): boolean => {
    const provider = 'provider-1';
    return take(run, {
      kind: 'bindUnits',
      by: 'market',
      order,
      provider,
      price,
      fence: under,
      units,
    });
  };
  bind(0n, fence, unitSetOf(taken));
  bind(0n, used, free);
  bind(0n, 0, free);
  bind(unitPrice, live.highestFence + 1, freeUnits(order, live, 0, most));
}

/** What is signed by another, under either key; more withheld than there is. */
function deliverWrongly(run: Run, order: ModelArray): void {
  const live = run.model.live.get(order.id) as LiveArray;
  for (const { fence, provider, units, price, delivered } of [...live.open.values()]) {
    const right = { by: 'x', order, provider, fence, units: unitSetOf(units), charge: price };
    if (!delivered) {
      const signing = { signedBy: 'x', ownChain: true };
      take(run, { kind: 'deliverUnits', ...right, ...signing });
      continue;
    }
    const first = unitSetOf(delivered.units.slice(0, 1));
    const settle = { kind: 'settleUnits', by: 'market', order, fence } as const;
    take(run, { ...settle, withheld: { units: first, charge: delivered.charge + 1n } });
    const others = units.filter((unit) => !delivered.units.includes(unit));
    if (others.length > 0)
      take(run, { ...settle, withheld: { units: unitSetOf(others), charge: 0n } });
  }
}

function callsOfStrangers(run: Run, order: ModelArray): void {
  const live = run.model.live.get(order.id) as LiveArray;
  for (const fence of [...live.open.keys()]) {
    take(run, { kind: 'releaseUnits', by: 'x', order, fence });
    take(run, { kind: 'settleUnits', by: 'x', order, fence });
  }
  take(run, { kind: 'refund', by: 'x', order });
}

/** From wherever the history got to those who may end every order, and all money comes out. */
function finish(run: Run, endedBy: BatchHistory['endedBy']): void {
  const { world, model } = run;
  const isLate = endedBy === 'anyone';
  probe(run, isLate);
  if (isLate) world.advance(3_000);
  for (const order of isLate ? run.orders : [])
    for (const { fence, delivered } of [...(model.live.get(order.id)?.open.values() ?? [])])
      if (delivered) {
        const withheld = { units: unitSetOf(delivered.units.slice(0, 1)), charge: 0n };
        take(run, { kind: 'settleUnits', by: 'market', order, fence, withheld });
      }
  for (const order of run.orders) {
    const live = model.live.get(order.id);
    if (live?.stage !== 'placed') continue;
    const by = isLate ? 'x' : 'market';
    for (const { fence, delivered } of [...live.open.values()])
      mustTake(run, { kind: delivered ? 'settleUnits' : 'releaseUnits', by, order, fence });
    mustTake(run, { kind: isLate ? 'refund' : 'cancel', by, order });
    const ended = `ended ${live.stage}`;
    run.tally.set(ended, (run.tally.get(ended) ?? 0) + 1);
  }
  expectSame('held in the end', world.balanceOf(ordersAccount), prepaidOf(run, 'consumer'));
}

/** Plays a history under the given rules. @throws Violation (or what a production check throws) */
export function playBatches(
  history: BatchHistory,
  rules: OrdersRules,
  tally: Tally = new Map(),
): void {
  const run = start(history, rules, tally);
  const account = signerOf('consumer').account;
  run.world.must(signerOf('consumer'), ORDERS_CONTRACT, ordersMethods.deposit, {
    account,
    amount: PREPAID,
  });
  run.model.deposit('consumer', PREPAID);
  for (const choice of history.choices) {
    const step = stepOf(run, choice);
    if (step) take(run, step);
    else advance(run, choice);
  }
  finish(run, history.endedBy);
}
