/**
 * Which provider takes a job: one objective over every machine of every permitted cell, found by
 * branch and bound over the cells (`chooseOffer` of libs/scheduler). Floors come first and no weight
 * crosses them; among what is left price, time and risk are weighed as the tier or the job says.
 */
import type { Randomness } from '#libs/kernel';
import {
  type Cell,
  type CellChoice,
  type CellOffer,
  LEVELS,
  type Level,
  type Scales,
  TIER_WEIGHTS,
  type Weights,
  chooseOffer,
} from '#libs/scheduler';
import { domainsOf, isolationRank } from '../fitting.ts';
import type { JobNeeds } from '../model/rows.ts';
import { hasRoom } from '../room.ts';
import type { Market, ProviderState } from '../state.ts';
import { distrustOf } from '../checks/bonds.ts';
import { absenceOf } from './absence.ts';
import type { Candidate, Fit, FitCell } from './fits.ts';
import { type Run, RunOutlook, START_MS, slowdownOf, transferMs, waitMs } from './outlook.ts';
import { cellRisk } from './risk.ts';

/** What is to be placed, and its floors. */
export interface Job {
  readonly needs: JobNeeds;
  /** Most that may be charged; undefined: whatever it costs. */
  readonly priceCap: bigint | undefined;
  /** Milliseconds left until it must be delivered. */
  readonly deadlineMs: number;
  /** Providers that failed it, once per failure. */
  readonly tried: readonly string[];
  /** Providers that never get it: they have done what it is to be compared with. */
  readonly avoid?: ReadonlySet<string>;
}

export interface PlaceOffer extends CellOffer {
  readonly provider: ProviderState;
  readonly exactPrice: bigint;
  readonly run: Run;
  /** Before the run: wait, start and transfer. */
  readonly startMs: number;
}

export interface Choice extends CellChoice<PlaceOffer> {
  /** Cells with somebody who could ever take it. */
  readonly cells: number;
}

export interface ChooseOptions {
  /** Only machines with room at this moment; else busy ones too, with their wait. */
  readonly mustHaveRoom: boolean;
  readonly nowMs: number;
  readonly draws: Randomness;
  /** Only this cell. */
  readonly cell?: string;
}

/** In larger cells so many candidates with room are looked at, from a random start. */
const SAMPLE_FROM = 256;
const SAMPLE = 64;
/** One whole part of the objective is one per cent of wrong results, times ten. */
const RISK_SCALE = 0.1;
/** Smoothing of a provider's share of faults, and what it weighs as risk. */
const FAULTS_PRIOR = 20;
const FAULTS_WEIGHT = 0.25;
const ISOLATION_WEIGHT = 0.005;
const BEST_ISOLATION = isolationRank('S4');
/** Tightest fit decides between alike offers only. */
const LEFTOVER_WEIGHT = 0.001;
/** More than all other parts together: whoever failed the job comes last. */
const FAILED_WEIGHT = 1000;

export function weightsOf({ tier, placement }: JobNeeds): Weights {
  const own = placement?.weights;
  if (!own) return TIER_WEIGHTS[tier];
  const sum = own.cost + own.time + own.risk;
  return { cost: own.cost / sum, time: own.time / sum, risk: own.risk / sum };
}

/**
 * The best place of a job now; undefined when floors or want of room leave none. Never gives a machine
 * outside the permitted domains, levels and regions, dearer than the cap, or too slow for the deadline.
 */
export function choosePlace(market: Market, job: Job, options: ChooseOptions): Choice | undefined {
  const { needs, priceCap, deadlineMs } = job;
  if (!(deadlineMs > 0)) return undefined;
  const fit = market.places.fits.of(market.providers, needs);
  const cells = options.cell ? fit.cells.filter(({ name }) => name === options.cell) : fit.cells;
  if (cells.length === 0) return undefined;
  const outlook = new RunOutlook(market, needs, fit.bestPace);
  const quickest = new Map(fit.cells.map((cell) => [cell, quickestMs(cell, outlook)]));
  const scales = scalesOf(fit, quickest);
  const making = { outlook, scales, quickest, ...options };
  const made = cells.map((cell) => toCell(market, job, cell, making));
  const floors = {
    domains: domainsOf(needs),
    budget: priceCap === undefined ? Infinity : Math.max(1, Number(priceCap)),
    deadlineMs,
    regions: needs.placement?.regions ?? [],
    levels: needs.placement?.levels ?? [],
  };
  const choice = chooseOffer(made, floors, weightsOf(needs), scales);
  return choice && { ...choice, cells: fit.cells.length };
}

/** The cheapest price and the quickest finish there are count as one: doubling either weighs alike. */
function scalesOf({ cells }: Fit, quickest: ReadonlyMap<FitCell, number>): Scales {
  const price = Math.min(...cells.map(({ leastPrice }) => leastPrice));
  const timeMs = Math.min(...quickest.values());
  return { price: Math.max(1, price), timeMs: Math.max(1, timeMs), risk: RISK_SCALE };
}

function quickestMs({ paces, level }: FitCell, outlook: RunOutlook): number {
  const slowdown = usualSlowdown(level);
  let least = Infinity;
  for (const [name, pace] of paces)
    least = Math.min(least, outlook.run(name, pace, slowdown).expectedMs);
  return START_MS + least;
}

/**
 * A level lets neighbours slow its tasks down by so much; before they are seen half of it is expected.
 * It is what a dearer level is bought for, so it counts in the choice, not in what is told as foreseen.
 */
const usualSlowdown = (level: Level['name']): number => (1 + LEVELS[level].slowdownCap) / 2;

interface Making extends ChooseOptions {
  readonly outlook: RunOutlook;
  readonly scales: Scales;
  readonly quickest: ReadonlyMap<FitCell, number>;
}

function toCell(market: Market, job: Job, cell: FitCell, making: Making): Cell<PlaceOffer> {
  const risk = cellRisk(job.needs, cell, market.config).wrong;
  return {
    domain: cell.domain,
    level: LEVELS[cell.level],
    bounds: {
      price: cell.leastPrice,
      finishMs: making.quickest.get(cell) ?? 0,
      ...{ risk, packingPrice: 0 },
    },
    offers: { [Symbol.iterator]: () => offersOf(market, job, cell, risk, making) },
  };
}

function* offersOf(
  market: Market,
  job: Job,
  { candidates }: FitCell,
  risk: number,
  making: Making,
): Generator<PlaceOffer> {
  const count = candidates.length;
  const isSampled = count > SAMPLE_FROM;
  const start = isSampled ? randomBelow(making.draws, count) : 0;
  let given = 0;
  for (let i = 0; i < count; i++) {
    const candidate = candidates[(start + i) % count] as Candidate;
    const offer = offerOf(market, job, candidate, risk, making);
    if (!offer) continue;
    yield offer;
    if (isSampled && ++given >= SAMPLE) return;
  }
}

function randomBelow(draws: Randomness, below: number): number {
  const [a = 0, b = 0, c = 0] = draws.bytes(3);
  return ((a << 16) | (b << 8) | c) % below;
}

/** This machine's figures for the job; undefined when it cannot take it now, or never in time. */
function offerOf(
  market: Market,
  { needs, priceCap, tried, avoid }: Job,
  candidate: Candidate,
  risk: number,
  { mustHaveRoom, nowMs, outlook, scales }: Making,
): PlaceOffer | undefined {
  const { provider, price, priceUnits, nodeClass, pace } = candidate;
  if (absenceOf(market, provider, mustHaveRoom ? nowMs : undefined)) return undefined;
  if (priceCap !== undefined && price > priceCap) return undefined;
  if (avoid?.has(provider.row.provider) || distrustOf(market, provider, price)) return undefined;
  if (mustHaveRoom && !hasRoom(provider, needs)) return undefined;
  const slowdown = slowdownOf(market, needs, provider);
  if (slowdown === undefined && mustHaveRoom) return undefined;
  const { row } = provider;
  const run = outlook.run(nodeClass, pace, slowdown ?? 1);
  const waits = mustHaveRoom ? 0 : waitMs(market, needs, candidate, run, nowMs);
  const promised = Math.max(slowdown ?? 1, usualSlowdown(row.offer.level));
  const startMs = START_MS + waits + transferMs(market, needs, row.provider);
  const failures = tried.reduce((count, one) => count + (one === row.provider ? 1 : 0), 0);
  return {
    ...{ id: row.provider, provider, run, startMs, exactPrice: price, price: priceUnits },
    finishMs: startMs + outlook.run(nodeClass, pace, promised).expectedMs,
    risk: Math.min(1, risk + troubleOf(provider)),
    region: row.offer.region ?? '',
    packingPrice:
      scales.price * (LEFTOVER_WEIGHT * leftoverOf(provider, needs) + FAILED_WEIGHT * failures),
  };
}

/** What a provider's own record and its isolation add to the risk of its domain. */
function troubleOf({ row: { offer, completed, faults } }: ProviderState): number {
  const faulty = faults / (completed + faults + FAULTS_PRIOR);
  const weakness = BEST_ISOLATION - isolationRank(offer.isolation);
  return FAULTS_WEIGHT * faulty + ISOLATION_WEIGHT * weakness;
}

/** Share of the machine that stays free beside the job. */
function leftoverOf(
  { row: { offer }, usedCores, usedMemoryBytes }: ProviderState,
  needs: JobNeeds,
) {
  const cores = (offer.cores - usedCores - needs.cores) / Math.max(1, offer.cores);
  const memory =
    (offer.memoryBytes - usedMemoryBytes - needs.memoryBytes) / Math.max(1, offer.memoryBytes);
  return Math.max(0, cores + memory) / 2;
}
