/**
 * Domains, levels and cells, and the one objective that finds a job both. A job states hard floors,
 * which no price crosses, and weights for cost, time and risk. Cells are visited in the order of a
 * lower bound of the objective and the search stops when no bound can beat what was found: the result
 * is that of looking at every offer, which is a property test.
 */
import { schedulerError } from './errors.ts';

/** What a trust set can do, as bits: domains are ordered by what they include, not by a number. */
export const DOMAIN_BITS = { public: 1, vetted: 2, confidential: 4, private: 8 } as const;
export type DomainName = keyof typeof DOMAIN_BITS;

/** A class of service inside a domain. */
export interface Level {
  readonly name: 'eco' | 'standard' | 'fast' | 'assured';
  /** Price against the level `standard`. */
  readonly priceIndex: number;
  readonly waitTargetMs: number;
  /** Most slowdown by neighbours that the level accepts; 1 is none. */
  readonly slowdownCap: number;
  readonly replicas: number;
  /** Only here a running task may be stopped for another, after a checkpoint. */
  readonly isPreemptible: boolean;
}

export const LEVELS: Readonly<Record<Level['name'], Level>> = {
  eco: level('eco', 0.6, 600_000, 2, 1, true),
  standard: level('standard', 1, 60_000, 1.5, 1, false),
  fast: level('fast', 1.6, 1000, 1.15, 1, false),
  assured: level('assured', 2.2, 60_000, 1.15, 3, false),
};

function level(
  name: Level['name'],
  priceIndex: number,
  waitTargetMs: number,
  slowdownCap: number,
  replicas: number,
  isPreemptible: boolean,
): Level {
  return { name, priceIndex, waitTargetMs, slowdownCap, replicas, isPreemptible };
}

/** One machine's offer to one job, as predicted. All are estimates of this machine, not averages. */
export interface CellOffer {
  readonly id: string;
  /** Price of the whole job here, smallest unit of money. */
  readonly price: number;
  /** Expected time from now to the result: wait, transfer, run with its neighbours. */
  readonly finishMs: number;
  /** Probability that a wrong result is accepted. */
  readonly risk: number;
  readonly region: string;
  /** Price of worse packing, as `price`: fragmentation and leftovers. */
  readonly packingPrice: number;
}

/** A domain at a level with its offers and what bounds them from below. */
export interface Cell<O extends CellOffer = CellOffer> {
  readonly domain: DomainName;
  readonly level: Level;
  /** May be made while they are looked at: a cell that the search never enters makes none. */
  readonly offers: Iterable<O>;
  readonly bounds: CellBounds;
}

/** No offer of the cell is below any of these. */
export interface CellBounds {
  readonly price: number;
  readonly finishMs: number;
  readonly risk: number;
  readonly packingPrice: number;
}

/** What a job cannot do without. */
export interface Floors {
  /** Bits of the permitted domains. */
  readonly domains: number;
  /** Most it may cost; same unit as prices. */
  readonly budget: number;
  /** Time left until it must be finished. */
  readonly deadlineMs: number;
  /** Permitted regions; empty permits all. */
  readonly regions: readonly string[];
  /** Levels it accepts; empty accepts all. */
  readonly levels: readonly Level['name'][];
}

export interface Weights {
  readonly cost: number;
  readonly time: number;
  readonly risk: number;
}

/** The weights behind the tiers A (cheap), B (fast) and C (safe). */
export const TIER_WEIGHTS: Readonly<Record<'A' | 'B' | 'C', Weights>> = {
  A: { cost: 0.8, time: 0.1, risk: 0.1 },
  B: { cost: 0.1, time: 0.85, risk: 0.05 },
  C: { cost: 0.1, time: 0.1, risk: 0.8 },
};

/** Tightest bounds of these offers. */
export function cellBounds(offers: readonly CellOffer[]): CellBounds {
  const least = (of: (offer: CellOffer) => number) =>
    offers.reduce((low, offer) => Math.min(low, of(offer)), Infinity);
  return {
    price: least((offer) => offer.price),
    finishMs: least((offer) => offer.finishMs),
    risk: least((offer) => offer.risk),
    packingPrice: least((offer) => offer.packingPrice),
  };
}

/** @throws SeeleError SCHEDULER_POLICY_INVALID for an offer whose figures make no sense */
export function createCell(domain: DomainName, of: Level, offers: readonly CellOffer[]): Cell {
  for (const { id, price, finishMs, risk, packingPrice } of offers) {
    const areNumbers = [price, finishMs, risk, packingPrice].every(
      (value) => Number.isFinite(value) && value >= 0,
    );
    if (!areNumbers || risk > 1)
      throw schedulerError(
        'SCHEDULER_POLICY_INVALID',
        `offer ${id} states price ${price}, finish ${finishMs} ms, risk ${risk}`,
      );
  }
  return { domain, level: of, offers, bounds: cellBounds(offers) };
}

/** @throws SeeleError SCHEDULER_POLICY_INVALID */
function checkJob(floors: Floors, weights: Weights): void {
  const parts = [weights.cost, weights.time, weights.risk];
  if (!parts.every((part) => part >= 0 && part <= 1) || parts.every((part) => part === 0))
    throw schedulerError('SCHEDULER_POLICY_INVALID', `weights ${parts.join()}`);
  if (!(floors.budget > 0) || !(floors.deadlineMs > 0))
    throw schedulerError(
      'SCHEDULER_POLICY_INVALID',
      `budget ${floors.budget}, ${floors.deadlineMs} ms until the deadline`,
    );
}

/** What one whole part of the objective stands for. */
export interface Scales {
  readonly price: number;
  readonly timeMs: number;
  readonly risk: number;
}

/** Parts of the objective; `total` is their sum, and smaller is better. */
export interface Score {
  readonly cost: number;
  readonly time: number;
  readonly risk: number;
  readonly packing: number;
  readonly total: number;
}

/**
 * The objective: each part against its scale. Grows with every argument, so that bounds of the
 * arguments bound it. An unlimited scale makes its part 0.
 */
export function scoreOf(figures: CellBounds, weights: Weights, scales: Scales): Score {
  const cost = (weights.cost * figures.price) / scales.price;
  const time = (weights.time * figures.finishMs) / scales.timeMs;
  const risk = (weights.risk * figures.risk) / scales.risk;
  const packing = figures.packingPrice / scales.price;
  return { cost, time, risk, packing, total: cost + time + risk + packing };
}

const isCellPermitted = (cell: Cell, floors: Floors): boolean =>
  (DOMAIN_BITS[cell.domain] & floors.domains) !== 0 &&
  (floors.levels.length === 0 || floors.levels.includes(cell.level.name));

/** True when the offer itself crosses no floor. */
export const isOfferPermitted = (offer: CellOffer, floors: Floors): boolean =>
  offer.price <= floors.budget &&
  offer.finishMs <= floors.deadlineMs &&
  (floors.regions.length === 0 || floors.regions.includes(offer.region));

export interface CellChoice<O extends CellOffer = CellOffer> {
  readonly cell: Cell<O>;
  readonly offer: O;
  readonly score: Score;
  /** Second among the offers looked at; what was bounded away is worse than the first, not than this. */
  readonly runnerUp: Scored<O> | undefined;
  /** Offers looked at, of all: the rest was bounded away. */
  readonly looked: number;
  /** Cells that were entered. */
  readonly visited: number;
}

interface Scored<O extends CellOffer> {
  readonly cell: Cell<O>;
  readonly offer: O;
  readonly score: Score;
}

/** Equal values go to the smaller id, so that the order of cells and offers decides nothing. */
const isBetter = (
  { total }: Score,
  { id }: CellOffer,
  best: Scored<CellOffer> | undefined,
): boolean =>
  best === undefined ||
  total < best.score.total ||
  (total === best.score.total && id < best.offer.id);

/** Without scales a part is whole at the budget, at the deadline, at the certainty of being wrong. */
const floorScales = ({ budget, deadlineMs }: Floors): Scales => ({
  ...{ price: budget, timeMs: deadlineMs, risk: 1 },
});

/**
 * The best permitted offer of all cells, by branch and bound; undefined when floors leave none.
 * @throws SeeleError SCHEDULER_POLICY_INVALID for weights, budget or deadline that make no sense
 */
export function chooseOffer<O extends CellOffer>(
  cells: readonly Cell<O>[],
  floors: Floors,
  weights: Weights,
  scales: Scales = floorScales(floors),
): CellChoice<O> | undefined {
  checkJob(floors, weights);
  const bounded = cells
    .filter(
      (cell) =>
        isCellPermitted(cell, floors) &&
        cell.bounds.price <= floors.budget &&
        cell.bounds.finishMs <= floors.deadlineMs,
    )
    .map((cell) => ({ cell, bound: scoreOf(cell.bounds, weights, scales).total }))
    .toSorted((a, b) => a.bound - b.bound);
  let best: Scored<O> | undefined;
  let second: Scored<O> | undefined;
  let looked = 0;
  let visited = 0;
  for (const { cell, bound } of bounded) {
    if (best !== undefined && bound > best.score.total) break;
    visited++;
    for (const offer of cell.offers) {
      looked++;
      if (!isOfferPermitted(offer, floors)) continue;
      const score = scoreOf(offer, weights, scales);
      if (isBetter(score, offer, best)) [best, second] = [{ cell, offer, score }, best];
      else if (isBetter(score, offer, second)) second = { cell, offer, score };
    }
  }
  return best && { ...best, runnerUp: second, looked, visited };
}

/** How many offers each floor alone turns away, and how many all together: the answer to "why". */
export function floorCounts(
  cells: readonly Cell[],
  floors: Floors,
): Readonly<
  Record<'offers' | 'domain' | 'level' | 'price' | 'deadline' | 'region' | 'left', number>
> {
  const counts = { offers: 0, domain: 0, level: 0, price: 0, deadline: 0, region: 0, left: 0 };
  for (const cell of cells)
    for (const offer of cell.offers) {
      counts.offers++;
      if ((DOMAIN_BITS[cell.domain] & floors.domains) === 0) counts.domain++;
      if (floors.levels.length > 0 && !floors.levels.includes(cell.level.name)) counts.level++;
      if (offer.price > floors.budget) counts.price++;
      if (offer.finishMs > floors.deadlineMs) counts.deadline++;
      if (floors.regions.length > 0 && !floors.regions.includes(offer.region)) counts.region++;
      if (isCellPermitted(cell, floors) && isOfferPermitted(offer, floors)) counts.left++;
    }
  return counts;
}
