import fc from 'fast-check';
import { bytesToHex, hasCode, hexToBytes, type Bytes, utf8, utf8Decode } from '#libs/kernel';
import { createContractHarness } from './harness.ts';
import { createStateJournal } from './journal.ts';
import { createMemoryState } from './memory-state.ts';
import {
  WAYS,
  balanceKey,
  fail,
  put,
  relay,
  relayContract,
  toy,
  toyFees,
  toyToken,
  transfer,
} from './testing/toy-contracts.ts';

const alice = 'aa'.repeat(32);
const bob = 'bb'.repeat(32);
const newHarness = (fuelLimit?: bigint) =>
  createContractHarness({
    contracts: [toyToken, toy, relayContract],
    parameters: { allocations: [{ account: alice, amount: 100n }], settings: [] },
    fees: toyFees,
    ...(fuelLimit === undefined ? {} : { fuelLimit }),
  });

describe('calls of contracts', () => {
  it('keeps writes and events of a call that succeeds', () => {
    const harness = newHarness();
    const outcome = harness.call(alice, 'token', transfer, { to: bob, amount: 30n });
    expect(outcome).toMatchObject({
      ok: true,
      events: [{ contract: 'token', topic: 'transferred' }],
    });
    expect(toyFees.balanceOf({ get: (key) => harness.get('token', key) }, bob)).toBe(30n);
    expect(harness.scan('token').map(([key]) => bytesToHex(key))).toEqual(
      [alice, bob].map((account) => bytesToHex(balanceKey(account))),
    );
  });

  it('undoes writes and events of a call that reverts, and charges what it used', () => {
    const harness = newHarness();
    const outcome = harness.call(alice, 'toy', fail, { how: 'revert' });
    expect(outcome).toMatchObject({
      ok: false,
      status: 'reverted',
      code: 'TOY_REFUSED',
      events: [],
    });
    expect(outcome.fuelUsed).toBeLessThan(1_000_000n);
    expect(harness.scan('toy')).toEqual([]);
  });

  it('propagates the revert of a nested call and undoes both frames', () => {
    const harness = newHarness();
    const outcome = harness.call(alice, 'relay', relay, { how: 'revert', depth: 0 });
    expect(outcome).toMatchObject({ ok: false, code: 'TOY_REFUSED' });
    expect(harness.scan('relay')).toEqual([]);
  });

  it.each([
    ['spin', 'LEDGER_OUT_OF_FUEL'],
    ['swallow', 'LEDGER_OUT_OF_FUEL'],
    ['oversize', 'LEDGER_VALUE_LIMIT'],
    ['many-events', 'LEDGER_VALUE_LIMIT'],
  ] as const)('traps on %s with %s', (how, code) => {
    const outcome = newHarness().call(alice, 'toy', fail, { how });
    expect(outcome).toMatchObject({ ok: false, status: 'trapped', code, events: [] });
  });

  it('refuses to re-enter a running contract', () => {
    const outcome = newHarness().call(alice, 'relay', relay, { how: 'reenter', depth: 0 });
    expect(outcome).toMatchObject({ ok: false, code: 'LEDGER_REENTRANT' });
  });

  it('refuses unknown contracts and methods', () => {
    const harness = newHarness();
    for (const [contract, name] of [
      ['nobody', 'put'],
      ['toy', 'constructor'],
    ] as const)
      expect(
        harness.call(alice, contract, { ...put, name }, { key: 'a', value: utf8('b') }),
      ).toMatchObject({ ok: false, code: 'LEDGER_CONTRACT_UNKNOWN' });
  });

  it('does not turn a defect into a result', () => {
    expect(() => newHarness().call(alice, 'toy', fail, { how: 'fault' })).toThrow(
      expect.objectContaining({ code: 'LEDGER_CONTRACT_FAULT' }),
    );
  });

  it('leaves nothing behind whatever the fuel limit is', () => {
    fc.assert(
      fc.property(fc.bigInt(0n, 400_000n), fc.constantFrom(...WAYS), (fuelLimit, how) => {
        const harness = newHarness(fuelLimit);
        try {
          const outcome = harness.call(alice, 'relay', relay, { how, depth: 0 });
          expect(outcome.fuelUsed).toBeLessThanOrEqual(fuelLimit);
          if (!outcome.ok) expect(harness.scan('relay')).toEqual([]);
        } catch (error) {
          expect(hasCode(error, 'LEDGER_CONTRACT_FAULT')).toBe(true);
        }
      }),
      { numRuns: 60 },
    );
  });
});

describe('the state journal', () => {
  const key = fc.stringMatching(/^[abc]{1,3}$/);
  const action = fc.oneof(
    fc.record({ kind: fc.constant('put'), key, value: fc.string({ maxLength: 3 }) }),
    fc.record({ kind: fc.constant('delete'), key }),
    fc.record({ kind: fc.constant('scan'), key, cursor: fc.option(key), limit: fc.nat(4) }),
    fc.constant({ kind: 'checkpoint' }),
    fc.constant({ kind: 'revert' }),
    fc.constant({ kind: 'commit' }),
    fc.constant({ kind: 'settle' }),
  ) as fc.Arbitrary<{ kind: string; key: string; value: string; cursor: string; limit: number }>;

  it('behaves like a sorted map with save points (model)', () => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
        const state = createMemoryState();
        let journal = createStateJournal(state);
        let model = new Map<string, string>();
        let saved: { checkpoint: number; model: Map<string, string> }[] = [];
        for (const { kind, key: k, value, cursor, limit } of actions) {
          if (kind === 'put') {
            journal.put('c', utf8(k), utf8(value));
            model.set(k, value);
          } else if (kind === 'delete') {
            journal.delete('c', utf8(k));
            model.delete(k);
          } else if (kind === 'checkpoint') {
            saved.push({ checkpoint: journal.checkpoint(), model: new Map(model) });
          } else if (kind === 'revert') {
            const point = saved.pop();
            if (!point) continue;
            journal.revertTo(point.checkpoint);
            model = point.model;
          } else if (kind === 'settle') {
            journal.settle();
            saved = [];
          } else if (kind === 'commit') {
            state.apply(journal.changes());
            journal = createStateJournal(state);
            saved = [];
          } else {
            const found = journal.scan('c', utf8(k), cursor ? utf8(cursor) : undefined, limit);
            const expected = [...model]
              .filter(([name]) => name.startsWith(k) && (!cursor || name > cursor))
              .sort(([a], [b]) => (a < b ? -1 : 1))
              .slice(0, limit);
            expect(found.map(([a, b]) => [utf8Decode(a), utf8Decode(b)])).toEqual(expected);
          }
          if (k !== undefined) {
            const stored = journal.get('c', utf8(k));
            expect(stored && utf8Decode(stored)).toBe(model.get(k));
          }
        }
      }),
      { numRuns: 100 },
    );
  });

  it('reports only what differs from committed state', () => {
    const state = createMemoryState();
    const journal = createStateJournal(state);
    const bytes = hexToBytes('01') as Bytes;
    journal.put('c', bytes, utf8('x'));
    journal.delete('c', bytes);
    journal.get('c', utf8('read only'));
    expect(journal.changes()).toEqual([]);
  });
});
