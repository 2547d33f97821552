/**
 * The stage on which generated histories of contract `orders` play: seven people, some orders, the
 * chain and the model beside each other, and what call a step stands for.
 */
import type { Signer } from '#libs/crypto';
import type { Bytes } from '#libs/kernel';
import type { HarnessOutcome } from '#libs/ledger';
import { type Order, orderId } from '../orders/documents.ts';
import { ordersMethods } from '../orders/orders.ts';
import type { OrdersRules } from '../orders/rules.ts';
import { ORDERS_CONTRACT, ordersKeys } from '../orders/state.ts';
import { TOKEN_CONTRACT, tokenMethods } from '../token/token.ts';
import { type ModelOrder, OrdersModel, type Step } from './orders-model.ts';
import { MANIFEST, type World, createWorld, deliveryOf, person } from './orders-world.ts';

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
export const EACH = 1_000n;
export const PREPAID = 500n;
export const TIMES = {
  withdrawalDelayUs: 150,
  settleWindowUs: 80,
  deliveryGraceUs: 60,
  maxDurationUs: 1_200,
};
const people: readonly Signer[] = NAMES.map(person);
const signerOf = (name: string): Signer => people[NAMES.indexOf(name)] as Signer;
export const accountOfName = (name: string): string => signerOf(name).account;

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

export interface OrderKeys {
  readonly orderKey: Bytes;
  readonly openKey: Bytes;
}

export interface Run {
  readonly world: World;
  readonly model: OrdersModel;
  readonly orders: readonly ModelOrder[];
  readonly documents: ReadonlyMap<string, Order>;
  /** Records of ended orders as they stood when they ended. */
  readonly ended: Map<string, Bytes>;
  readonly keys: ReadonlyMap<string, OrderKeys>;
  readonly tally: Tally;
}

export function start(templates: History['templates'], rules: OrdersRules, tally: Tally): Run {
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

/** Makes the call that a step stands for. */
export function call(run: Run, step: Step): HarnessOutcome<unknown> {
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
