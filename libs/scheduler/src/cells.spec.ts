import fc from 'fast-check';
import { SeeleError } from '#libs/kernel';
import {
  type Cell,
  type CellOffer,
  chooseOffer,
  createCell,
  DOMAIN_BITS,
  type DomainName,
  floorCounts,
  type Floors,
  isOfferPermitted,
  LEVELS,
  TIER_WEIGHTS,
  type Weights,
} from './cells.ts';

const amount = (max: number) => fc.integer({ min: 0, max });
const offer = fc.record({
  price: amount(100),
  finishMs: amount(100),
  risk: amount(10).map((tenths) => tenths / 10),
  region: fc.constantFrom('eu', 'cn'),
  packingPrice: amount(10),
});
const cells = fc
  .array(
    fc.tuple(
      fc.constantFrom(...(Object.keys(DOMAIN_BITS) as DomainName[])),
      fc.constantFrom(...Object.values(LEVELS)),
      fc.array(offer, { maxLength: 8 }),
    ),
    { maxLength: 8 },
  )
  .map((list) =>
    list.map(([domain, level, offers], c) =>
      createCell(
        domain,
        level,
        offers.map((plain, i) => ({ ...plain, id: `${c}.${i}` })),
      ),
    ),
  );
const floors: fc.Arbitrary<Floors> = fc.record({
  domains: amount(15),
  budget: fc.integer({ min: 1, max: 120 }),
  deadlineMs: fc.integer({ min: 1, max: 120 }),
  regions: fc.subarray(['eu', 'cn']),
  levels: fc.subarray(['eco', 'standard', 'fast', 'assured'] as const),
});
const weights = fc.constantFrom<Weights>(...Object.values(TIER_WEIGHTS), {
  cost: 1,
  time: 0,
  risk: 0,
});

/** Every offer of every cell, looked at. */
function flatArgmin(all: readonly Cell[], f: Floors, w: Weights): CellOffer | undefined {
  const value = (o: CellOffer) =>
    (w.cost * o.price) / f.budget +
    (w.time * o.finishMs) / f.deadlineMs +
    w.risk * o.risk +
    o.packingPrice / f.budget;
  return all
    .filter(({ domain }) => DOMAIN_BITS[domain] & f.domains)
    .filter(({ level }) => f.levels.length === 0 || f.levels.includes(level.name))
    .flatMap(({ offers }) => [...offers])
    .filter((o) => isOfferPermitted(o, f))
    .toSorted((a, b) => value(a) - value(b) || (a.id < b.id ? -1 : 1))[0];
}

describe('chooseOffer', () => {
  it('is the flat argmin over all permitted offers', () => {
    fc.assert(
      fc.property(cells, floors, weights, (all, f, w) => {
        expect(chooseOffer(all, f, w)?.offer).toBe(flatArgmin(all, f, w));
      }),
      { numRuns: 300 },
    );
  });

  it('never crosses a floor', () => {
    fc.assert(
      fc.property(cells, floors, weights, (all, f, w) => {
        const choice = chooseOffer(all, f, w);
        expect(choice === undefined).toBe(floorCounts(all, f).left === 0);
        if (!choice) return;
        expect(DOMAIN_BITS[choice.cell.domain] & f.domains).not.toBe(0);
        expect(choice.offer.price).toBeLessThanOrEqual(f.budget);
        expect(choice.offer.finishMs).toBeLessThanOrEqual(f.deadlineMs);
      }),
      { numRuns: 100 },
    );
  });

  const plain = { region: 'eu', packingPrice: 0 };
  const market = [
    createCell('public', LEVELS.eco, [{ ...plain, id: 'eco', price: 10, finishMs: 80, risk: 0.2 }]),
    createCell('vetted', LEVELS.fast, [
      { ...plain, id: 'fast', price: 60, finishMs: 8, risk: 0.1 },
    ]),
    createCell('confidential', LEVELS.assured, [
      { ...plain, id: 'assured', price: 70, finishMs: 60, risk: 0.001 },
    ]),
  ];
  const open: Floors = { domains: 15, budget: 100, deadlineMs: 100, regions: [], levels: [] };

  it.each([
    ['A', 'eco'],
    ['B', 'fast'],
    ['C', 'assured'],
  ] as const)('gives consumer %s the cell %s', (tier, id) => {
    const f = tier === 'C' ? { ...open, domains: DOMAIN_BITS.confidential } : open;
    expect(chooseOffer(market, f, TIER_WEIGHTS[tier])?.offer.id).toBe(id);
  });

  it('looks no further when no bound can beat what it has', () => {
    expect(chooseOffer(market, open, TIER_WEIGHTS.B)?.looked).toBe(1);
  });

  it.each([
    [{ ...open, budget: 0 }, TIER_WEIGHTS.A],
    [{ ...open, deadlineMs: Number.NaN }, TIER_WEIGHTS.A],
    [open, { cost: 0, time: 0, risk: 0 }],
    [open, { cost: Number.NaN, time: 1, risk: 0 }],
    [open, { cost: -1, time: 1, risk: 0 }],
  ])('refuses floors %j with weights %j', (f, w) => {
    expect(() => chooseOffer(market, f, w)).toThrow(SeeleError);
  });

  it.each([{ price: Number.NaN }, { finishMs: -1 }, { risk: 2 }, { packingPrice: Infinity }])(
    'refuses the offer %j',
    (wrong) => {
      const right = { ...plain, id: 'x', price: 1, finishMs: 1, risk: 0 };
      expect(() => createCell('public', LEVELS.eco, [{ ...right, ...wrong }])).toThrow(SeeleError);
    },
  );
});
