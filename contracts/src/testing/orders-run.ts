/**
 * Drives contract `orders` and its model side by side through one generated history and compares them
 * after every step. Anything that should not be is thrown as a `Violation`.
 */
import type { Signer } from '#libs/crypto';
import { type Bytes, type Codec, decodeWith, equalBytes } from '#libs/kernel';
import type { HarnessOutcome } from '#libs/ledger';
import { CONTRACT_ERRORS } from '../errors.ts';
import { type Order, type OrderRecord, orderId, orderRecord } from '../orders/documents.ts';
import { ordersMethods } from '../orders/orders.ts';
import type { OrdersRules } from '../orders/rules.ts';
import { ORDERS_CONTRACT, hasEnded, ordersKeys, prepaid } from '../orders/state.ts';
import { TOKEN_CONTRACT, tokenAmount, tokenKeys, tokenMethods } from '../token/token.ts';
import { type ModelOrder, OrdersModel, type Stage, type Step } from './orders-model.ts';
import {
  MANIFEST,
  createWorld,
  deliveryOf,
  ordersAccount,
  person,
  type World,
} from './orders-world.ts';

export class Violation extends Error {
  override readonly name = 'Violation';
}

export const NAMES = [
  'consumer-1',
  'consumer-2',
  'market-1',
  'market-2',
  'provider-1',
  'provider-2',
  'x',
];
const EACH = 1_000n;
const PREPAID = 500n;
const TIMES = {
  withdrawalDelayUs: 150,
  settleWindowUs: 80,
  deliveryGraceUs: 60,
  maxDurationUs: 1_200,
};
const people: readonly Signer[] = NAMES.map(person);
const signerOf = (name: string): Signer => people[NAMES.indexOf(name)] as Signer;
const accountOfName = (name: string): string => signerOf(name).account;

/** One order of a history; times count from the start. */
export interface Template {
  readonly consumer: string;
  readonly market: string;
  readonly cap: bigint;
  readonly placeInUs: number;
  readonly completeInUs: number;
  readonly flaw: 'none' | 'chain' | 'signer';
}

export type Kind = Step['kind'] | 'next' | 'advance';

export interface Choice {
  readonly kind: Kind;
  /** What is wrong with the step; mostly nothing, else one thing at a time. */
  readonly flaw: 'none' | 'by' | 'fence' | 'amount' | 'provider' | 'signer' | 'chain';
  readonly who: number;
  readonly other: number;
  readonly order: number;
  readonly amount: bigint;
  readonly fence: number;
  readonly us: number;
}

/** A whole history: some orders, the steps, and who ends what is left. */
export interface History {
  readonly templates: readonly Template[];
  readonly choices: readonly Choice[];
  readonly endedBy: 'entitled' | 'anyone';
}

/** How often each kind of step was allowed and refused, to show that the histories reach all of them. */
export type Tally = Map<string, number>;

interface OrderKeys {
  readonly orderKey: Bytes;
  readonly openKey: Bytes;
}

interface Run {
  readonly world: World;
  readonly model: OrdersModel;
  readonly orders: readonly ModelOrder[];
  readonly documents: ReadonlyMap<string, Order>;
  /** Records of ended orders as they stood when they ended. */
  readonly ended: Map<string, Bytes>;
  readonly keys: ReadonlyMap<string, OrderKeys>;
  readonly tally: Tally;
}

function start(templates: History['templates'], rules: OrdersRules, tally: Tally): Run {
  const world = createWorld({ people, amountEach: EACH, rules, orders: TIMES });
  const documents = new Map<string, Order>();
  const orders = templates.map((given, index) => {
    const placeByUs = world.startUs + given.placeInUs;
    const completeByUs = world.startUs + given.completeInUs;
    const document: Order = {
      chain: given.flaw === 'chain' ? 'cc'.repeat(32) : world.chain,
      consumer: accountOfName(given.consumer),
      market: accountOfName(given.market),
      salt: index.toString(16).padStart(32, '0'),
      manifest: MANIFEST,
      priceCap: given.cap,
      placeByUs,
      completeByUs,
    };
    const id = orderId(document);
    documents.set(id, document);
    return {
      ...given,
      id,
      placeByUs,
      completeByUs,
      ownChain: given.flaw !== 'chain',
      signedBy: given.flaw === 'signer' ? 'x' : given.consumer,
    };
  });
  const model = new OrdersModel(TIMES, NAMES, EACH);
  const keys = new Map(
    [...documents].map(([id, { market }]) => [
      id,
      { orderKey: ordersKeys.order(id), openKey: ordersKeys.open(market, id) },
    ]),
  );
  return { world, model, orders, documents, ended: new Map(), keys, tally };
}

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
  const wait = (near[chosen.other] ?? 0) - world.timeUs;
  // One before the moment, or at it.
  world.advance(wait > 0 && wait < 600 ? wait - (chosen.us % 2) : chosen.us);
}

/** What comes next for an order: mostly the right thing, and often what must not happen now. */
function nextKind(stage: Stage | undefined, taste: number): Kind {
  const menus: Readonly<Record<'none' | Stage, readonly Kind[]>> = {
    none: ['place'],
    placed: ['bind', 'bind', 'bind', 'bind', 'advance', 'cancel', 'refund'],
    bound: ['deliver', 'deliver', 'advance', 'bind', 'refund', 'cancel', 'settle'],
    delivered: ['settle', 'reject', 'reject', 'advance', 'deliver', 'bind', 'cancel'],
    settled: ['deposit', 'place', 'settle', 'refund', 'cancel', 'deliver', 'reject'],
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

function callOrder(run: Run, step: Extract<Step, { order: ModelOrder }>): HarnessOutcome<unknown> {
  const { world } = run;
  const by = accountOfName(step.by);
  const order = step.order.id;
  switch (step.kind) {
    case 'place': {
      const document = run.documents.get(order) as Order;
      const signed = world.signOrder(document, signerOf(step.order.signedBy));
      const publicKey = signerOf(step.order.consumer).publicKey;
      return world.call(by, ORDERS_CONTRACT, ordersMethods.place, { ...signed, publicKey });
    }
    case 'bind': {
      const { price, fence } = step;
      const provider = accountOfName(step.provider);
      return world.call(by, ORDERS_CONTRACT, ordersMethods.bind, { order, provider, price, fence });
    }
    case 'deliver': {
      const chain = step.ownChain ? world.chain : 'cc'.repeat(32);
      const { fence, charge } = step;
      const provider = accountOfName(step.provider);
      const document = deliveryOf({ chain, order, provider, fence, charge });
      const signed = world.signDelivery(document, signerOf(step.signedBy));
      return world.call(by, ORDERS_CONTRACT, ordersMethods.deliver, signed);
    }
    case 'settle':
      return world.call(by, ORDERS_CONTRACT, ordersMethods.settle, { order, fence: step.fence });
    case 'reject': {
      const args = { order, fence: step.fence, reason: 'hash-mismatch' };
      return world.call(by, ORDERS_CONTRACT, ordersMethods.reject, args);
    }
    case 'cancel':
      return world.call(by, ORDERS_CONTRACT, ordersMethods.cancel, { order });
    case 'refund':
      return world.call(by, ORDERS_CONTRACT, ordersMethods.refund, { order });
  }
}

function call(run: Run, step: Step): HarnessOutcome<unknown> {
  const { world } = run;
  const by = accountOfName(step.by);
  switch (step.kind) {
    case 'transfer': {
      const args = { to: accountOfName(step.to), amount: step.amount };
      return world.call(by, TOKEN_CONTRACT, tokenMethods.transfer, args);
    }
    case 'deposit': {
      const args = { account: by, amount: step.amount };
      return world.call(by, ORDERS_CONTRACT, ordersMethods.deposit, args);
    }
    case 'request': {
      const { requestWithdrawal } = ordersMethods;
      return world.call(by, ORDERS_CONTRACT, requestWithdrawal, { amount: step.amount });
    }
    case 'unrequest':
      return world.call(by, ORDERS_CONTRACT, ordersMethods.cancelWithdrawal, {});
    case 'withdraw':
      return world.call(by, ORDERS_CONTRACT, ordersMethods.withdraw, {});
    default:
      return callOrder(run, step);
  }
}

function expectSame(what: string, seen: unknown, wanted: unknown): void {
  if (seen !== wanted)
    throw new Violation(`${what} is ${String(seen)} where ${String(wanted)} is right`);
}

/** Values are compared after every step and mostly unchanged, so each is decoded once. */
const decodedValues = new WeakMap<Bytes, unknown>();

function decoded<T>(codec: Codec<T>, bytes: Bytes | undefined): T | undefined {
  if (!bytes) return undefined;
  if (!decodedValues.has(bytes)) decodedValues.set(bytes, decodeWith(codec, bytes));
  return decodedValues.get(bytes) as T;
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
  const wanted = run.model.step(step, nowUs);
  if (outcome.ok !== wanted)
    throw new Violation(`${step.kind} was ${outcome.ok ? 'allowed' : `refused (${outcome.code})`}`);
  if (
    !outcome.ok &&
    !(outcome.status === 'reverted' && Object.hasOwn(CONTRACT_ERRORS, outcome.code))
  )
    throw new Violation(`${step.kind}: ${outcome.status} with ${outcome.code}`);
  const key = outcome.ok ? step.kind : outcome.code;
  run.tally.set(key, (run.tally.get(key) ?? 0) + 1);
  compare(run);
  return outcome.ok;
}

function mustTake(run: Run, step: Step): void {
  if (!take(run, step)) throw new Violation(`${step.kind} is stuck`);
}

/** From wherever the history got to, those who may end every order, and all money comes out. */
function finish(run: Run, endedBy: History['endedBy']): void {
  const { world, model } = run;
  const stageOf = (id: string) => model.live.get(id)?.stage;
  if (endedBy === 'anyone') world.advance(3_000);
  for (const order of run.orders) {
    const live = model.live.get(order.id);
    if (!live) continue;
    const { fence, stage } = live;
    if (stage === 'delivered')
      mustTake(run, {
        kind: 'settle',
        by: endedBy === 'anyone' ? 'x' : order.consumer,
        order,
        fence,
      });
    else if (stage === 'placed' || stage === 'bound') {
      const by = stage === 'placed' ? order.consumer : order.market;
      if (endedBy === 'anyone') mustTake(run, { kind: 'refund', by: 'x', order });
      else mustTake(run, { kind: 'cancel', by, order });
    }
    const ended = stageOf(order.id);
    run.tally.set(`ended ${ended}`, (run.tally.get(`ended ${ended}`) ?? 0) + 1);
  }
  for (const by of NAMES) {
    const amount = model.prepaid.get(by) ?? 0n;
    if (amount > 0n) mustTake(run, { kind: 'request', by, amount });
  }
  world.advance(TIMES.withdrawalDelayUs);
  for (const by of NAMES) if (model.asked.has(by)) mustTake(run, { kind: 'withdraw', by });
  expectSame('balance of orders at the end', world.balanceOf(ordersAccount), 0n);
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
  for (const chosen of choices) {
    const step = stepOf(run, chosen);
    if (step) take(run, step);
    else advance(run, chosen);
  }
  finish(run, endedBy);
}
