/**
 * Whether what was quoted held, as its consumer sees it: the price that was paid in the end, the time at
 * which the signed log says that the delivery was accepted, and what came back of the money. The market's
 * own count of kept quotes is not asked.
 */
import type { MarketClient, OrderDocument, QuoteDocument } from '#libs/sdk';
import { endOf } from './e2e-single.ts';
import { significant } from './harness.ts';

/** Others are at work meanwhile. */
const POLL_MS = 60;

/** An order that ended, with the quote that it came with. */
export interface QuotedOrder {
  readonly quote: Pick<QuoteDocument['options'][number], 'priceCap' | 'finishMs'>;
  readonly order: Pick<OrderDocument, 'acceptedAt' | 'priceCap' | 'chain' | 'status'>;
  /** When its delivery was accepted; absent when none ever was. */
  readonly deliveredAt?: string;
}

export type QuoteEnd = 'kept' | 'late' | 'dear' | 'failed';

/** How a quote ended. `late` is outside the interval on either side: who plans with it is wrong both ways. */
export function endOfQuote({ quote, order, deliveredAt }: QuotedOrder): QuoteEnd {
  if (deliveredAt === undefined || order.status !== 'settled') return 'failed';
  if (BigInt(order.chain.paid) > BigInt(quote.priceCap)) return 'dear';
  const tookMs = Date.parse(deliveredAt) - Date.parse(order.acceptedAt);
  const { earliest, latest } = quote.finishMs;
  return tookMs < earliest || tookMs > latest ? 'late' : 'kept';
}

/** All that was not paid for is the consumer's again. */
export const isRefunded = ({ order: { chain, priceCap } }: QuotedOrder): boolean =>
  BigInt(chain.paid) + BigInt(chain.refunded) === BigInt(priceCap);

/** Follows an order to its end. */
export async function quotedOrder(
  market: MarketClient,
  id: string,
  quote: QuotedOrder['quote'],
): Promise<QuotedOrder> {
  let deliveredAt: string | undefined;
  for await (const { kind, time } of market.events(id, { patienceMs: 10_000 })) {
    if (kind !== 'delivered') continue;
    deliveredAt = time;
    break;
  }
  const order = await endOf(market, id, POLL_MS);
  return { quote, order, ...(deliveredAt !== undefined && { deliveredAt }) };
}

export function quoteFigures(ended: readonly QuotedOrder[]) {
  const counts = { kept: 0, late: 0, dear: 0, failed: 0 };
  for (const one of ended) counts[endOfQuote(one)] += 1;
  const { kept, ...quotesNotKept } = counts;
  return {
    quoteKeptShare: ended.length === 0 ? null : significant(kept / ended.length),
    quotedOrders: ended.length,
    quotesNotKept,
    /** Orders of which money is neither paid nor given back. */
    quotesNotRefunded: ended.filter((one) => !isRefunded(one)).length,
  };
}
