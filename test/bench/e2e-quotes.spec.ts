import { type QuotedOrder, endOfQuote, quoteFigures } from './e2e-quotes.ts';

const at = (ms: number) => new Date(1_700_000_000_000 + ms).toISOString();

function ended(change: {
  readonly tookMs?: number;
  readonly paid?: string;
  readonly refunded?: string;
  readonly status?: QuotedOrder['order']['status'];
}): QuotedOrder {
  const { tookMs = 100, paid = '60', refunded = '40', status = 'settled' } = change;
  return {
    quote: { priceCap: '100', finishMs: { likely: 120, earliest: 50, latest: 200 } },
    order: {
      ...{ acceptedAt: at(0), priceCap: '100', status },
      chain: { state: status, height: 9, paid, refunded },
    },
    ...(status === 'settled' && { deliveredAt: at(tookMs) }),
  };
}

test.each([
  ['kept', ended({})],
  ['kept', ended({ tookMs: 50 })],
  ['kept', ended({ tookMs: 200, paid: '100', refunded: '0' })],
  ['late', ended({ tookMs: 201 })],
  ['late', ended({ tookMs: 49 })],
  ['dear', ended({ paid: '101', refunded: '0' })],
  ['failed', ended({ status: 'refunded', paid: '0', refunded: '100' })],
])('a quote is %s', (end, one) => {
  expect(endOfQuote(one)).toBe(end);
});

test('the share counts every order that ended, and money that came back to nobody', () => {
  const lost = ended({ refunded: '39' });
  const all = [ended({}), lost, ended({ tookMs: 900 }), ended({ status: 'cancelled' })];
  expect(quoteFigures(all)).toEqual({
    quoteKeptShare: 0.5,
    quotedOrders: 4,
    quotesNotKept: { late: 1, dear: 0, failed: 1 },
    quotesNotRefunded: 1,
  });
  expect(quoteFigures([]).quoteKeptShare).toBeNull();
});
