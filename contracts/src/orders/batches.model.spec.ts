import fc from 'fast-check';
import { hasCode } from '#libs/kernel';
import { batchMutants } from '../testing/batches-mutants.ts';
import { playBatches } from '../testing/batches-run.ts';
import { BATCH_KINDS, type BatchHistory, FLAWS, PEOPLE } from '../testing/batches-stage.ts';
import { type Tally, Violation } from '../testing/orders-stage.ts';
import { type OrdersRules, ordersRules } from './rules.ts';

const rethrow = (error: unknown): never => {
  throw error;
};

const SEED = 11;

const template = fc.record({
  tasks: fc.constantFrom(9, 12, 20, 30, 30, 30, 130, 0),
  replicas: fc.constantFrom(1, 2, 2, 3),
  unitPrice: fc.constantFrom(0n, 1n, 4n, 9n, 9n),
  cap: fc.constantFrom(90n, 200n, 280n, 4n),
  completeInUs: fc.integer({ min: 300, max: 1_100 }),
});

const choice = fc.record({
  kind: fc.constantFrom(...BATCH_KINDS),
  flaw: fc.constantFrom(...FLAWS),
  who: fc.nat(PEOPLE.length - 1),
  pick: fc.nat(50),
  order: fc.nat(1),
  amount: fc.bigInt({ min: 0n, max: 300n }),
  from: fc.nat(270),
  count: fc.integer({ min: 1, max: 24 }),
  us: fc.integer({ min: 0, max: 60 }),
});

const history: fc.Arbitrary<BatchHistory> = fc.record({
  templates: fc.tuple(template, template),
  choices: fc.array(choice, { minLength: 20, maxLength: 35 }),
  endedBy: fc.constantFrom('entitled', 'anyone'),
});

describe('batches of units against their model', () => {
  const tally: Tally = new Map();

  it('conserve value, keep each unit in one hand, and obey only the entitled', () => {
    fc.assert(
      fc.property(history, (given) => playBatches(given, ordersRules, tally)),
      { numRuns: 40, seed: SEED },
    );
  });

  it('are driven into every step, every ending and every refusal that the histories can make', () => {
    const wanted = [
      ...['place', 'bindUnits', 'deliverUnits', 'settleUnits', 'withheld', 'releaseUnits'],
      ...['cancel', 'refund', 'ended settled', 'ended refunded', 'ended cancelled'],
      ...['ORDERS_ARRAY', 'ORDERS_UNITS', 'ORDERS_UNITS_TAKEN', 'ORDERS_BATCHES_OPEN'],
      ...['ORDERS_FENCE_STALE', 'ORDERS_PRICE_TOO_HIGH', 'ORDERS_CHARGE_TOO_HIGH'],
      ...['ORDERS_NOT_MARKET', 'ORDERS_NOT_PARTY', 'ORDERS_NOT_PROVIDER', 'ORDERS_SIGNATURE'],
      ...['ORDERS_PREPAID_TOO_LOW', 'ORDERS_WRONG_CHAIN', 'ORDERS_WINDOW_OVER', 'ORDERS_STATE'],
      ...['ORDERS_EXPIRED', 'ORDERS_NOT_DUE', 'ORDERS_ALREADY_DELIVERED', 'ORDERS_EXISTS'],
    ];
    expect(wanted.filter((what) => !tally.has(what))).toEqual([]);
  });
});

describe('a contract with a broken rule of batches', () => {
  const histories = fc.sample(history, { numRuns: 80, seed: SEED });
  const firstNoticed = (rules: OrdersRules): number =>
    histories.findIndex((given) => {
      try {
        playBatches(given, rules);
        return false;
      } catch (error) {
        // The model disagrees, or a check that is on in production stops the contract.
        return (
          error instanceof Violation || hasCode(error, 'LEDGER_CONTRACT_FAULT') || rethrow(error)
        );
      }
    });

  it.each(Object.entries(batchMutants))('is noticed: it %s', (_name, rules) => {
    expect(firstNoticed(rules)).toBeGreaterThanOrEqual(0);
  });
});
