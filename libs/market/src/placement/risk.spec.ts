import { cellRisk } from './risk.ts';

const cell = { domain: 'public', level: 'eco' } as const;
const checks = { auditShare: 0.02, replayShare: 0.05 };
const chanceOf = (needs: Parameters<typeof cellRisk>[0]): number =>
  cellRisk(needs, cell, checks).checkChance;

test('quotes state how often a result is looked at again: of many tasks a few of a drawn batch', () => {
  expect(chanceOf({ tier: 'A' })).toBe(0.02);
  expect(chanceOf({ tier: 'A', tasks: 3 })).toBe(0.02);
  expect(chanceOf({ tier: 'B', tasks: 40 })).toBeCloseTo(0.002, 9);
  // However many tasks there are, a batch has two hundred.
  expect(chanceOf({ tier: 'B', tasks: 10_000 })).toBeCloseTo(0.0004, 9);
  expect(chanceOf({ tier: 'C' })).toBe(0);
  expect(chanceOf({ tier: 'A', kind: 'wasm' })).toBe(0.05);
  const validated = cellRisk({ tier: 'A', hasValidator: true }, cell, checks);
  expect(validated).toMatchObject({ check: 'validator', checkChance: 0.02 });
  // The more is looked at, the less is believed wrongly.
  expect(cellRisk({ tier: 'A' }, cell, checks).wrong).toBeLessThan(
    cellRisk({ tier: 'A', tasks: 10_000 }, cell, checks).wrong,
  );
});
