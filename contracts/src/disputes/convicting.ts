/**
 * Wrong results of jobs that are not metered. Whole orders: three operators ran one manifest, two came to the same and
 * one to something else. The three signed deliveries are on the chain, so nothing need be run again. The
 * market that gave the work to all three says which; it gains nothing by it.
 */
import { type AccountId, type Bytes, hash32, list, record, u64 } from '#libs/kernel';
import { type Context, defineMethod } from '#libs/ledger';
import { emit, writeValue, done } from '../contract-kit.ts';
import { demand } from '../errors.ts';
import type { Delivery, OrderRecord } from '../orders/documents.ts';
import { ORDERS_CONTRACT } from '../orders/state.ts';
import { viewMethods } from '../orders/views.ts';
import { outcomeOf, recordOutcome } from '../reputation/reputation.ts';
import { payTo } from '../token/token.ts';
import { slashShare } from './bonds.ts';
import { disputesEvents } from './events.ts';
import { disputesKeys, disputesSettings } from './state.ts';

interface Answer {
  readonly record: OrderRecord;
  readonly provider: AccountId;
  readonly delivery: Delivery;
}

/** How a program ends by itself is the same everywhere; what a limit of time or memory ends is not. */
export const REPEATABLE: ReadonlySet<string> = new Set(['ok', 'guest-error']);

/** The delivery of an order, while it counts. */
function answerOf(context: Context, order: string): Answer {
  const { record: found } = context.call(ORDERS_CONTRACT, viewMethods.read, { order });
  const counts = found?.state === 'delivered' || found?.state === 'settled';
  const { delivery, provider } = found ?? {};
  if (!found || !counts || !delivery || !provider || delivery.metered)
    return context.revert('DISPUTES_NOT_COMPARABLE', `order ${order} has no such delivery`);
  const isRepeatable = REPEATABLE.has(delivery.exit);
  demand(
    context,
    isRepeatable,
    'DISPUTES_NOT_COMPARABLE',
    `order ${order} ended as ${delivery.exit}`,
  );
  return { record: found, provider, delivery };
}

const isSameAnswer = (a: Answer, b: Answer): boolean =>
  a.delivery.exit === b.delivery.exit && a.delivery.result === b.delivery.result;

/** One manifest, three providers, and the caller is the market that gave the work to all of them. */
export function demandComparable(
  context: Context,
  all: readonly { readonly record: OrderRecord; readonly provider: AccountId }[],
): void {
  const manifest = all[0]?.record.order.manifest;
  for (const { record: one } of all) {
    demand(
      context,
      one.order.market === context.caller,
      'DISPUTES_NOT_PARTY',
      'only the market of all three orders compares them',
    );
    demand(
      context,
      one.order.manifest === manifest,
      'DISPUTES_NOT_COMPARABLE',
      'the orders are of different manifests',
    );
  }
  const operators = new Set(all.map(({ provider }) => provider)).size;
  demand(
    context,
    operators === all.length,
    'DISPUTES_NOT_COMPARABLE',
    `${operators} providers for ${all.length} deliveries`,
  );
}

function checkAnswers(context: Context, odd: Answer, others: readonly Answer[]): void {
  demandComparable(context, [odd, ...others]);
  const [first, second] = others as [Answer, Answer];
  demand(
    context,
    isSameAnswer(first, second) && !isSameAnswer(first, odd),
    'DISPUTES_SAME',
    'not two equal deliveries and another one',
  );
}

export interface Proven {
  readonly order: string;
  /** Of an order of many tasks: the batch. */
  readonly fence?: number;
  readonly record: OrderRecord;
  readonly provider: AccountId;
  /** What the wrong result cost its consumer. */
  readonly charge: bigint;
  /** Nobody is convicted of it from then on (µs). */
  readonly untilUs: number;
  /** There once it was proven wrong. */
  readonly key: Bytes;
}

/** Takes the provider's share, once, and gives the consumer the price back out of it. */
export function punish(context: Context, proven: Proven): bigint {
  const { order, fence, provider, charge, untilUs, key, record: before } = proven;
  demand(context, context.block.timeUs < untilUs, 'DISPUTES_LATE', `until ${untilUs} µs`);
  const isNew = context.storage.get(key) === undefined;
  demand(context, isNew, 'DISPUTES_EXISTS', `order ${order} was proven wrong before`);
  const { slashedPerMille } = disputesSettings.read(context.storage);
  const slashed = slashShare(context, provider, slashedPerMille);
  const toConsumer = charge < slashed ? charge : slashed;
  const { consumer, market } = before.order;
  writeValue(context.storage, key, done, {});
  payTo(context, consumer, toConsumer);
  emit(context, disputesEvents.convicted, {
    ...{ order, market, provider, slashed, toConsumer },
    ...(fence !== undefined && { fence }),
  });
  recordOutcome(context, outcomeOf(provider, { disputesLost: 1 }));
  return slashed;
}

export const convictingMethods = {
  /** The market of three orders of one manifest: two deliveries are equal, so the third is wrong. */
  convict: defineMethod({
    name: 'convict',
    args: record({ order: hash32, others: list(hash32, 2) }),
    returns: record({ slashed: u64 }),
    run(context, { order, others }) {
      demand(context, others.length === 2, 'DISPUTES_NOT_COMPARABLE', 'two others are wanted');
      const odd = answerOf(context, order);
      checkAnswers(
        context,
        odd,
        others.map((one) => answerOf(context, one)),
      );
      const { provider, delivery, record: before } = odd;
      const { windowUs } = disputesSettings.read(context.storage);
      const slashed = punish(context, {
        ...{ order, provider, record: before, charge: delivery.charge },
        untilUs: (before.deliveredAtUs ?? 0) + Number(windowUs),
        key: disputesKeys.of(order),
      });
      return { slashed };
    },
  }),
};
