import fc from 'fast-check';
import { isSeeleError } from '#libs/kernel';
import { Deadlines } from './deadlines.ts';
import { type Table, ROW_CODECS, decodeRow, encodeRow } from './model/rows.ts';
import { restoreMarket } from './restore.ts';
import { Driver, configOf, manifestWith } from './testing/driver.ts';

function rowsOfABusyMarket(): Driver {
  const driver = new Driver();
  const manifest = manifestWith();
  driver.join('p1');
  for (let i = 0; i < 3; i++) {
    const reply = driver.submit(driver.order(manifest), manifest);
    if (reply.is !== 'order') throw new Error('refused');
    const { id } = reply.view;
    driver.apply({ kind: 'bindingDue', request: 'q', order: id, binding: 1 });
  }
  driver.wait(1000);
  return driver;
}

describe('stored rows', () => {
  test('every row is read back as what was written', () => {
    const { rows, market } = rowsOfABusyMarket();
    expect(rows.size).toBeGreaterThan(8);
    for (const { table, bytes } of rows.values())
      expect(encodeRow(table, decodeRow(table, bytes))).toEqual(bytes);
    const again = restoreMarket(configOf(), rows.values());
    expect([...again.orders.values()]).toEqual([...market.orders.values()]);
    expect([...again.transactions.keys()]).toEqual([...market.transactions.keys()]);
    expect(again.meta).toEqual(market.meta);
    expect(again.openOrders).toBe(market.openOrders);
  });

  test('damaged rows are refused by name, never with anything but a SeeleError', () => {
    const rows = [...rowsOfABusyMarket().rows.values()];
    fc.assert(
      fc.property(
        fc.nat(rows.length - 1),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (i, at, flip) => {
          const row = rows[i] as (typeof rows)[number];
          const bytes = row.bytes.slice();
          bytes[at % bytes.length] = (bytes[at % bytes.length] as number) ^ flip;
          try {
            decodeRow(row.table, bytes);
          } catch (error) {
            expect(isSeeleError(error)).toBe(true);
          }
        },
      ),
      { numRuns: 100 },
    );
    const tables = Object.keys(ROW_CODECS) as Table[];
    fc.assert(
      fc.property(fc.constantFrom(...tables), fc.uint8Array({ maxLength: 200 }), (table, bytes) => {
        expect(() => decodeRow(table, bytes)).toThrow(
          expect.objectContaining({ name: 'SeeleError' }),
        );
      }),
      { numRuns: 100 },
    );
    const torn = rows.map((row) => ({ ...row, bytes: row.bytes.subarray(0, 20) }));
    expect(() => restoreMarket(configOf(), torn)).toThrow(
      expect.objectContaining({ code: 'MARKET_ROW_INVALID' }),
    );
  });
});

describe('deadlines', () => {
  test('fire in order of time, ties in the order set, each name at its last time', () => {
    const step = fc.record({
      name: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'),
      atMs: fc.nat(20),
      clear: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const deadlines = new Deadlines();
        const model = new Map<string, { atMs: number; order: number }>();
        for (const [order, { name, atMs, clear }] of steps.entries()) {
          if (clear) {
            deadlines.clear(name);
            model.delete(name);
          } else {
            deadlines.set(name, atMs);
            model.set(name, { atMs, order });
          }
        }
        const expected = [...model]
          .sort(([, a], [, b]) => a.atMs - b.atMs || a.order - b.order)
          .map(([name]) => name);
        expect(deadlines.nextMs()).toBe(model.get(expected[0] ?? '')?.atMs);
        const fired: string[] = [];
        for (let name = deadlines.take(20); name; name = deadlines.take(20)) fired.push(name);
        expect(fired).toEqual(expected);
        expect(deadlines.size).toBe(0);
      }),
      { numRuns: 100 },
    );
  });
});
