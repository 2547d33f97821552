import fc from 'fast-check';
import { ordersMutants } from '../testing/orders-mutants.ts';
import { type Tally, history, play } from '../testing/orders-run.ts';
import { ordersRules } from './rules.ts';

const SEED = 20_261_122;

describe('orders and token against their model', () => {
  const tally: Tally = new Map();

  it('conserve value, obey only the entitled, and end every order once', () => {
    fc.assert(
      fc.property(history, (given) => play(given, ordersRules, tally)),
      { numRuns: 80, seed: SEED },
    );
  });

  it('are driven into every step, every ending and every refusal that the histories can make', () => {
    const wanted = [
      ...['transfer', 'deposit', 'request', 'unrequest', 'withdraw', 'place', 'bind', 'deliver'],
      ...['settle', 'reject', 'cancel', 'refund'],
      ...['ended settled', 'ended refunded', 'ended cancelled'],
      ...['TOKEN_BALANCE_TOO_LOW', 'ORDERS_PREPAID_TOO_LOW', 'ORDERS_WITHDRAWAL_EARLY'],
      ...['ORDERS_NOT_MARKET', 'ORDERS_NOT_PARTY', 'ORDERS_NOT_PROVIDER', 'ORDERS_SIGNATURE'],
      ...['ORDERS_EXISTS', 'ORDERS_EXPIRED', 'ORDERS_TIMES', 'ORDERS_STATE', 'ORDERS_NOT_DUE'],
      ...['ORDERS_FENCE_STALE', 'ORDERS_PRICE_TOO_HIGH', 'ORDERS_CHARGE_TOO_HIGH'],
      ...['ORDERS_WRONG_CHAIN', 'ORDERS_WINDOW_OVER', 'ORDERS_ALREADY_DELIVERED'],
    ];
    expect(wanted.filter((what) => !tally.has(what))).toEqual([]);
  });
});

const histories = fc.sample(history, { numRuns: 150, seed: SEED });

describe('the model notices a broken contract that', () => {
  it.each(Object.entries(ordersMutants))('%s', (_name, rules) => {
    expect(() => histories.forEach((given) => play(given, rules))).toThrow();
  });
});
