import type { OrderRecord } from '#contracts';
import { checkMoney } from './check-money.ts';

const order = { priceCap: 100n } as OrderRecord['order'];
const settled = {
  order,
  state: 'settled',
  escrow: 0n,
  paid: 60n,
  refunded: 40n,
  placedAtUs: 1,
  provider: 'ab'.repeat(32),
  price: 70n,
  fence: 1,
  delivery: { charge: 60n } as OrderRecord['delivery'],
  rejections: 0,
} as unknown as OrderRecord;

/** A chain that broke its own rules: certified records that no honest contract writes. */
describe('the money of an order’s record', () => {
  it('adds up when settled, refunded or cancelled', () => {
    expect(checkMoney(settled).ok).toBe(true);
    expect(checkMoney({ ...settled, price: 60n }).ok).toBe(true);
    for (const state of ['refunded', 'cancelled'] as const)
      expect(checkMoney({ ...settled, state, paid: 0n, refunded: 100n }).ok).toBe(true);
  });

  it.each<[string, object]>([
    ['has not ended', { state: 'delivered' }],
    ['is still held', { escrow: 1n }],
    ['are not the', { paid: 61n }],
    ['are not the', { refunded: 41n }],
    ['although the order was refunded', { state: 'refunded' }],
    ['above the cap', { price: 101n }],
    ['above the price', { price: 59n }],
    ['was charged', { paid: 50n, refunded: 50n }],
    ['without a price', { price: undefined }],
    ['without a price', { delivery: undefined }],
    ['without a price', { provider: undefined }],
  ])('fails in words when it %s', (words, change) => {
    const finding = checkMoney({ ...settled, ...change } as OrderRecord);
    expect(finding.ok).toBe(false);
    expect(finding.words).toContain(words);
  });
});
