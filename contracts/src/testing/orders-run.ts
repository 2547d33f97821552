/**
 * Drives contract `orders` and its model side by side through one generated history and compares them
 * after every step. Anything that should not be is thrown as a `Violation`.
 */
import { type Bytes, equalBytes } from '#libs/kernel';
import { type OrderRecord, orderRecord } from '../orders/documents.ts';
import type { OrdersRules } from '../orders/rules.ts';
import { ORDERS_CONTRACT, hasEnded, ordersKeys, prepaid } from '../orders/state.ts';
import { decoded, expectSame, judge } from './judge-step.ts';
import { TOKEN_CONTRACT, tokenAmount, tokenKeys } from '../token/token.ts';
import type { ModelOrder, Stage, Step } from './orders-model.ts';
import {
  type Choice,
  EACH,
  type History,
  type Kind,
  NAMES,
  type OrderKeys,
  PREPAID,
  type Run,
  TIMES,
  type Tally,
  Violation,
  accountOfName,
  call,
  start,
} from './orders-stage.ts';
import { ordersAccount } from './orders-world.ts';

/** Moves time on: to the very microsecond at which something of the order changes, or by some. */
function advance({ world, model, orders }: Run, chosen: Choice): void {
  const order = orders[chosen.order] as ModelOrder;
  const live = model.live.get(order.id);
  const { completeByUs } = order;
  const moments: Partial<Record<Stage, readonly number[]>> = {
    bound: [completeByUs, completeByUs + TIMES.deliveryGraceUs],
    delivered: [(live?.deliveredAtUs ?? 0) + TIMES.settleWindowUs],
  };
  const near = (live && moments[live.stage]) ?? [order.placeByUs, completeByUs];
  const wait = (near[chosen.other % 4] ?? 0) - world.timeUs;
  // One before the moment, or at it.
  world.advance(wait > 0 && wait < 600 ? wait - (chosen.us % 2) : chosen.us);
}

/** What comes next for an order: mostly the right thing, and often what must not happen now. */
function nextKind(stage: Stage | undefined, taste: number): Kind {
  const menus: Readonly<Record<'none' | Stage, readonly Kind[]>> = {
    none: ['place'],
    placed: ['bind', 'bind', 'bind', 'bind', 'bind', 'deliver', 'refund'],
    bound: ['deliver', 'deliver', 'deliver', 'deliver', 'bind', 'refund', 'settle'],
    delivered: ['settle', 'settle', 'settle', 'reject', 'deliver', 'bind', 'cancel'],
    settled: ['place', 'settle', 'settle', 'refund', 'cancel', 'deliver', 'reject'],
    refunded: ['deposit', 'place', 'refund', 'bind', 'deliver'],
    cancelled: ['deposit', 'place', 'refund', 'bind', 'cancel'],
  };
  const menu = menus[stage ?? 'none'];
  return menu[taste % menu.length] as Kind;
}

/** The step that a choice means in the present state. */
function stepOf({ model, orders }: Run, chosen: Choice): Step | undefined {
  const { flaw } = chosen;
  const order = orders[chosen.order] as ModelOrder;
  const live = model.live.get(order.id);
  const anyone = NAMES[chosen.who] as string;
  const market = flaw === 'by' ? anyone : order.market;
  const consumer = flaw === 'by' ? anyone : order.consumer;
  const provider = chosen.other % 2 === 0 ? 'provider-1' : 'provider-2';
  const current = live?.fence ?? 0;
  const fence = flaw === 'fence' ? chosen.fence : current;
  const within = (most: bigint) =>
    flaw === 'amount' ? chosen.amount : chosen.amount % (most + 1n);
  const kind = chosen.kind === 'next' ? nextKind(live?.stage, chosen.other) : chosen.kind;
  switch (kind) {
    case 'advance':
    case 'next':
      return undefined;
    case 'transfer':
      return { kind, by: anyone, to: NAMES[chosen.other] as string, amount: chosen.amount };
    case 'deposit':
      return { kind, by: consumer, amount: chosen.amount };
    case 'request':
      return { kind, by: consumer, amount: within(model.prepaid.get(consumer) ?? 0n) };
    case 'unrequest':
    case 'withdraw':
      return { kind, by: consumer };
    case 'place':
      return { kind, by: market, order };
    case 'bind': {
      const rising = flaw === 'fence' ? current - (chosen.fence % 2) : current + 1;
      return {
        kind,
        by: market,
        order,
        provider,
        price: within(order.cap),
        fence: Math.max(0, rising),
      };
    }
    case 'deliver': {
      const bound = (flaw !== 'provider' && live?.provider) || provider;
      const signedBy = flaw === 'signer' ? anyone : bound;
      const charge = within(live?.price ?? 0n);
      const ownChain = flaw !== 'chain';
      return { kind, by: anyone, order, provider: bound, signedBy, fence, charge, ownChain };
    }
    case 'settle':
      return { kind, by: flaw !== 'by' && chosen.us % 2 === 0 ? consumer : market, order, fence };
    case 'reject':
      return { kind, by: market, order, fence };
    case 'cancel':
      return { kind, by: flaw !== 'by' && chosen.us % 2 === 0 ? consumer : market, order };
    case 'refund':
      return { kind, by: anyone, order };
  }
}

const purses = NAMES.map((name) => ({
  name,
  balanceKey: tokenKeys.balance(accountOfName(name)),
  prepaidKey: ordersKeys.prepaid(accountOfName(name)),
}));
const ordersBalanceKey = tokenKeys.balance(ordersAccount);

/** Every purse and every order against the model, and the sums of the whole. */
function compare(run: Run): void {
  const { world, model } = run;
  const balanceAt = (key: Bytes) => decoded(tokenAmount, world.get(TOKEN_CONTRACT, key)) ?? 0n;
  let held = 0n;
  let owed = 0n;
  for (const { name, balanceKey, prepaidKey } of purses) {
    const balance = balanceAt(balanceKey);
    expectSame(`balance of ${name}`, balance, model.tokens.get(name) ?? 0n);
    const stored = decoded(prepaid, world.get(ORDERS_CONTRACT, prepaidKey));
    expectSame(`prepaid of ${name}`, stored?.balance ?? 0n, model.prepaid.get(name) ?? 0n);
    expectSame(`asked by ${name}`, stored?.withdrawal?.amount, model.asked.get(name)?.amount);
    held += balance;
    owed += stored?.balance ?? 0n;
  }
  for (const { id } of run.orders) owed += compareOrder(run, id);
  expectSame('supply', held + balanceAt(ordersBalanceKey), EACH * BigInt(NAMES.length));
  expectSame('balance of orders', balanceAt(ordersBalanceKey), owed);
}

/** One order against the model; gives what it holds. */
function compareOrder({ world, model, keys, ended }: Run, id: string): bigint {
  const { orderKey, openKey } = keys.get(id) as OrderKeys;
  const bytes = world.get(ORDERS_CONTRACT, orderKey);
  const live = model.live.get(id);
  expectSame('order is there', bytes !== undefined, live !== undefined);
  if (!bytes || !live) return 0n;
  const record = decoded(orderRecord, bytes) as OrderRecord;
  expectSame('state', record.state, live.stage);
  expectSame('fence', record.fence, live.fence);
  expectSame('paid', record.paid, live.paid);
  expectSame('refunded', record.refunded, live.returned);
  expectSame('sum', record.escrow + record.paid + record.refunded, record.order.priceCap);
  const isOpen = world.get(ORDERS_CONTRACT, openKey) !== undefined;
  expectSame('open entry', isOpen, !hasEnded(record.state));
  const before = ended.get(id);
  if (before && !equalBytes(before, bytes)) throw new Violation('an ended order changed');
  if (hasEnded(record.state)) ended.set(id, bytes);
  return record.escrow;
}

function take(run: Run, step: Step): boolean {
  const nowUs = run.world.timeUs;
  const outcome = call(run, step);
  judge(step.kind, outcome, run.model.step(step, nowUs), run.tally);
  compare(run);
  return outcome.ok;
}

function mustTake(run: Run, step: Step): void {
  if (!take(run, step)) throw new Violation(`${step.kind} is stuck`);
}

/** Tries what is mostly not allowed, wherever the history got to; the model knows when it is. */
function probe(run: Run, endedBy: History['endedBy']): void {
  const { world, model } = run;
  const live = run.orders.flatMap((order) => {
    const found = model.live.get(order.id);
    return found ? [{ order, found }] : [];
  });
  for (const { order, found } of live) {
    const { fence } = found;
    take(run, { kind: 'cancel', by: 'x', order });
    take(run, { kind: 'settle', by: 'x', order, fence });
    if (found.stage === 'bound') take(run, { kind: 'cancel', by: order.consumer, order });
    take(run, { kind: 'refund', by: 'x', order });
  }
  if (endedBy !== 'anyone') return;
  for (const { order } of live.toSorted((a, b) => a.order.completeByUs - b.order.completeByUs)) {
    world.advance(Math.max(0, order.completeByUs - world.timeUs));
    take(run, { kind: 'refund', by: 'x', order });
  }
  world.advance(3_000);
  for (const { order, found } of live) {
    const { fence, provider = 'provider-1' } = found;
    take(run, { kind: 'reject', by: order.market, order, fence });
    const late = { provider, signedBy: provider, fence, charge: 0n, ownChain: true };
    take(run, { kind: 'deliver', by: 'x', order, ...late });
  }
}

/** Ends every order by those who may, or by a stranger when all time is over. */
function endAll(run: Run, endedBy: History['endedBy']): void {
  const { model } = run;
  const strangerOr = (name: string) => (endedBy === 'anyone' ? 'x' : name);
  for (const order of run.orders) {
    const live = model.live.get(order.id);
    if (!live) continue;
    const { fence, stage } = live;
    if (stage === 'delivered')
      mustTake(run, { kind: 'settle', by: strangerOr(order.consumer), order, fence });
    else if (stage === 'placed' || stage === 'bound') {
      const by = stage === 'placed' ? order.consumer : order.market;
      if (endedBy === 'anyone') mustTake(run, { kind: 'refund', by: 'x', order });
      else mustTake(run, { kind: 'cancel', by, order });
    }
    const ended = `ended ${model.live.get(order.id)?.stage}`;
    run.tally.set(ended, (run.tally.get(ended) ?? 0) + 1);
  }
}

function withdrawAsked(run: Run): void {
  run.world.advance(TIMES.withdrawalDelayUs);
  for (const by of NAMES) if (run.model.asked.has(by)) mustTake(run, { kind: 'withdraw', by });
}

/** From wherever the history got to, those who may end every order, and all money comes out. */
function finish(run: Run, endedBy: History['endedBy']): void {
  probe(run, endedBy);
  // What was asked for before is paid as far as orders left it.
  withdrawAsked(run);
  endAll(run, endedBy);
  for (const by of NAMES) {
    const amount = run.model.prepaid.get(by) ?? 0n;
    if (amount > 0n) mustTake(run, { kind: 'request', by, amount });
  }
  withdrawAsked(run);
  expectSame('balance of orders at the end', run.world.balanceOf(ordersAccount), 0n);
}

/** Plays a history under the given rules. @throws Violation (or what a production check throws) */
export function play(
  { templates, choices, endedBy }: History,
  rules: OrdersRules,
  tally: Tally = new Map(),
): void {
  const run = start(templates, rules, tally);
  for (const by of ['consumer-1', 'consumer-2'])
    mustTake(run, { kind: 'deposit', by, amount: PREPAID });
  mustTake(run, { kind: 'request', by: 'consumer-1', amount: PREPAID });
  for (const chosen of choices) {
    const step = stepOf(run, chosen);
    if (step) take(run, step);
    else advance(run, chosen);
  }
  finish(run, endedBy);
}
