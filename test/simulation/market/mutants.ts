/**
 * Broken systems that the simulation must notice. Each replaces one piece, by injection, of a world
 * that is otherwise the real one.
 */
import {
  type OrdersRules,
  batchDeliveryHash,
  createOrdersContract,
  ordersRules,
  systemContracts,
} from '#contracts';
import type { Bytes } from '#libs/kernel';
import type { SystemContract } from '#libs/ledger';
import {
  type MadeInputs,
  type Market,
  type MarketEffect,
  type MarketTimes,
  type OrderFact,
  type UnitsFact,
  decodeRow,
  deliveryHash,
} from '#libs/market';
import type { MarketHooks } from './market-process.ts';
import type { NodeHooks } from './node-process.ts';

export interface Mutant {
  readonly name: string;
  readonly contracts?: readonly SystemContract[];
  readonly market?: MarketHooks;
  readonly node?: NodeHooks;
  readonly times?: Partial<MarketTimes>;
  /** The market's reducer takes every signature for good. */
  readonly believesAll?: boolean;
}

function contractsWith(change: Partial<OrdersRules>): readonly SystemContract[] {
  const broken = createOrdersContract({ ...ordersRules, ...change });
  return systemContracts.map((contract) => (contract.name === broken.name ? broken : contract));
}

const without =
  (isDropped: (effect: MarketEffect) => boolean) =>
  (effects: readonly MarketEffect[]): readonly MarketEffect[] =>
    effects.filter((effect) => !isDropped(effect));

const yes = (): boolean => true;

export const MUTANTS: readonly Mutant[] = [
  { name: 'no fencing', contracts: contractsWith({ isFenceCurrent: yes, isFenceRising: yes }) },
  { name: 'refund twice', contracts: contractsWith({ isRefundable: yes }) },
  {
    name: 'no idempotency key',
    contracts: contractsWith({ isNew: yes }),
    market: { postsAnew: true },
  },
  { name: 'settle before finality', node: { publishesEarly: true } },
  { name: 'settle twice', contracts: contractsWith({ isSettleable: yes }) },
  { name: 'refund before its time', contracts: contractsWith({ isRefundDue: yes }) },
  { name: 'anyone may cancel', contracts: contractsWith({ mayCancel: yes, isCancellable: yes }) },
  {
    name: 'pays and refunds the whole escrow',
    contracts: contractsWith({
      splitSettled: ({ escrow, delivery }) => ({
        toProvider: delivery?.charge ?? 0n,
        toConsumer: escrow,
      }),
    }),
  },
  { name: 'acknowledges before the commit', market: { releasesEarly: true } },
  { name: 'forgets what was unfinished', market: { forgetsToResume: true } },
  {
    name: 'never asks the queue',
    market: { changesEffects: without(({ kind }) => kind === 'enqueueBinding') },
  },
  {
    name: 'drops log batches of its own',
    market: {
      changesEffects: (effects) => {
        const ends = effects.some((e) => e.kind === 'jobEvent' && e.event.kind === 'lost');
        return ends ? without((e) => e.kind === 'save' && e.table === 'batch')(effects) : effects;
      },
    },
  },
  {
    name: 'loses its place on the chain',
    market: {
      changesEffects: without((e) => e.kind === 'save' && e.table === 'meta'),
    },
  },
  {
    name: 'draws audits by something of its own',
    market: {
      changesEvent: (event) =>
        event.kind === 'block' ? { ...event, hash: 'ab'.repeat(32) } : event,
    },
  },
  {
    name: 'never pays',
    market: {
      changesEffects: without((e) => e.kind === 'submitTransaction' && e.key.startsWith('settle/')),
    },
  },
  { name: 'believes every signature', believesAll: true },
  {
    name: 'lends to everybody',
    market: {
      changesEvent: (event) =>
        event.kind === 'submitOrder'
          ? { ...event, balance: { ...event.balance, amount: 10n ** 18n } }
          : event,
    },
  },
  {
    name: 'gives jobs something else to read',
    market: {
      changesEffects: (effects) =>
        effects.map((effect) =>
          effect.kind === 'sendAgent' && effect.message.kind === 'lease' && effect.message.inputs
            ? { ...effect, message: { ...effect.message, inputs: otherInputs(effect.message) } }
            : effect,
        ),
    },
  },
  {
    name: 'forgets what its readers were given',
    market: {
      changesEffects: without((e) => e.kind === 'save' && e.table === 'order' && isReader(e.bytes)),
    },
  },
  {
    name: 'looks at no result',
    market: {
      changesEvent: (event) =>
        event.kind === 'resultChecked'
          ? { ...event, outcome: { is: 'good', sizeBytes: 1 } }
          : event,
    },
  },
  {
    name: 'sends each transaction once',
    times: { chainRetryMs: 10 ** 9 },
  },
  {
    name: 'pays whichever delivery the chain has',
    market: {
      changesEvent: (event, market) =>
        event.kind === 'block'
          ? { ...event, orders: event.orders.map((fact) => believed(fact, market)) }
          : event,
    },
  },
  // The other rules of batches have their mutants beside the contract: no market here breaks them.
  { name: 'releases batches for anybody', contracts: contractsWith({ mayRelease: yes }) },
  {
    name: 'pays what is held of a batch',
    contracts: contractsWith({
      splitBatch: ({ escrow }) => ({ toProvider: escrow, toConsumer: 0n }),
    }),
  },
  {
    name: 'never pays a batch',
    market: {
      changesEffects: without(
        (e) => e.kind === 'submitTransaction' && e.key.startsWith('payUnits/'),
      ),
    },
  },
  {
    name: 'never releases a batch',
    market: {
      changesEffects: without(
        (e) => e.kind === 'submitTransaction' && e.key.startsWith('releaseUnits/'),
      ),
    },
  },
  {
    name: 'looks at no results of batches',
    market: {
      changesEvent: (event) =>
        event.kind === 'unitsChecked' ? { ...event, outcome: 'good' } : event,
    },
  },
  {
    name: 'forgets batches in a crash',
    market: { changesEffects: without((e) => e.kind === 'save' && e.table === 'units') },
  },
  {
    name: 'pays whichever delivery of a batch the chain has',
    market: {
      changesEvent: (event, market) =>
        event.kind === 'block'
          ? { ...event, units: (event.units ?? []).map((fact) => unitsBelieved(fact, market)) }
          : event,
    },
  },
];

/** The same of a batch. */
function unitsBelieved(fact: UnitsFact, market: Market): UnitsFact {
  const accepted = market.batchesOf.get(fact.order)?.get(fact.fence)?.delivery?.delivery;
  return fact.event === 'delivered' && accepted
    ? { ...fact, delivery: batchDeliveryHash(accepted) }
    : fact;
}

const otherInputs = ({ inputs = [] }: { inputs?: MadeInputs | undefined }): MadeInputs =>
  inputs.map((input) => ({ ...input, cid: 'bafkqaaa' }));

function isReader(bytes: Bytes): boolean {
  const { sources = [] } = decodeRow('order', bytes);
  return sources.some(({ cid }) => cid !== undefined);
}

/** As if the chain's delivery were always the one that the market accepted. */
function believed(fact: OrderFact, market: Market): OrderFact {
  const accepted = market.orders.get(fact.order)?.delivery?.delivery;
  return fact.event === 'delivered' && accepted
    ? { ...fact, delivery: deliveryHash(accepted) }
    : fact;
}
