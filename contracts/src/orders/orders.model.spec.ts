import fc from 'fast-check';
import { hasCode } from '#libs/kernel';
import { ordersMutants } from '../testing/orders-mutants.ts';
import { play } from '../testing/orders-run.ts';
import { type History, type Kind, NAMES, type Tally, Violation } from '../testing/orders-stage.ts';
import { type OrdersRules, ordersRules } from './rules.ts';

const rethrow = (error: unknown): never => {
  throw error;
};

const SEED = 7;

const template = fc.record({
  consumer: fc.constantFrom('consumer-1', 'consumer-2'),
  market: fc.constantFrom('market-1', 'market-2', 'market-1', 'consumer-1'),
  cap: fc.bigInt({ min: 0n, max: 400n }),
  placeInUs: fc.integer({ min: 50, max: 700 }),
  completeInUs: fc.integer({ min: 200, max: 1_300 }),
  flaw: fc.constantFrom('none', 'none', 'none', 'none', 'none', 'none', 'chain', 'signer'),
});

const KINDS = (
  'next next next next next next next next next next next next next next advance advance advance deposit place bind bind deliver ' +
  'deliver settle reject cancel refund refund request request unrequest withdraw withdraw transfer'
).split(' ') as Kind[];

const choice = fc.record({
  kind: fc.constantFrom(...KINDS),
  /** What is wrong with the step; mostly nothing, else one thing at a time. */
  flaw: fc.constantFrom(
    ...(['none', 'none', 'none', 'none', 'none', 'none'] as const),
    ...(['by', 'by', 'by', 'fence', 'fence', 'amount', 'provider', 'signer', 'chain'] as const),
  ),
  who: fc.nat(NAMES.length - 1),
  other: fc.nat(NAMES.length - 1),
  order: fc.nat(2),
  amount: fc.bigInt({ min: 0n, max: 600n }),
  fence: fc.nat(4),
  us: fc.integer({ min: 0, max: 90 }),
});

/** A whole history: some orders, the steps, and who ends what is left. */
const history: fc.Arbitrary<History> = fc.record({
  templates: fc.tuple(template, template, template),
  choices: fc.array(choice, { minLength: 20, maxLength: 45 }),
  endedBy: fc.constantFrom('entitled', 'anyone'),
});

describe('orders and token against their model', () => {
  const tally: Tally = new Map();

  it('conserve value, obey only the entitled, and end every order once', () => {
    fc.assert(
      fc.property(history, (given) => play(given, ordersRules, tally)),
      { numRuns: 60, seed: SEED },
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

describe('a broken contract', () => {
  const histories = fc.sample(history, { numRuns: 120, seed: SEED });
  const firstNoticed = (rules: OrdersRules): number =>
    histories.findIndex((given) => {
      try {
        play(given, rules);
        return false;
      } catch (error) {
        // The model disagrees, or a check that is on in production stops the contract.
        return (
          error instanceof Violation || hasCode(error, 'LEDGER_CONTRACT_FAULT') || rethrow(error)
        );
      }
    });

  it.each(Object.entries(ordersMutants))('is noticed that %s', (_name, rules) => {
    expect(firstNoticed(rules)).toBeGreaterThanOrEqual(0);
  });
});
