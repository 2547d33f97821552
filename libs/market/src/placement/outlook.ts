/** What is foreseen of a job on a machine: transfer, wait, run with its neighbours, and how surely. */
import { LEVELS, type RunPrediction, WORK_CLASSES } from '#libs/scheduler';
import type { JobNeeds } from '../model/rows.ts';
import { hasRoom } from '../room.ts';
import type { Market, ProviderState } from '../state.ts';
import type { Candidate } from './fits.ts';

/** From a free slot to the first guest statement. */
export const START_MS = 60;
/** Until a job's code has run here, its use is guessed as this share of its limits. */
export const UNKNOWN_SHARE = 0.1;
/** 100 Mbit/s between storage and provider. */
const BYTES_PER_MS = 12_500;
/** Coverage of foreseen run times, by which deadlines are admitted: 9 in 10 end before the late end. */
const RUN_COVERAGE = 0.8;
/** Below this depth a prediction knows nothing of the code itself. */
const DEPTH_OF_CODE = 2;

export interface Run {
  readonly expectedMs: number;
  readonly lowMs: number;
  readonly highMs: number;
  readonly isCalibrated: boolean;
  /** This code has run before. */
  readonly isKnown: boolean;
}

/** Run times on one machine by the class it is of, asked once per class and decision. */
export class RunOutlook {
  readonly #market: Market;
  readonly #needs: JobNeeds;
  readonly #bestPace: number;
  readonly #byClass = new Map<string, RunPrediction | undefined>();

  /** @param bestPace of all machines that fit: what is not known is guessed from how they compare */
  constructor(market: Market, needs: JobNeeds, bestPace: number) {
    this.#market = market;
    this.#needs = needs;
    this.#bestPace = bestPace;
  }

  #predicted(nodeClass: string): RunPrediction | undefined {
    if (this.#byClass.has(nodeClass)) return this.#byClass.get(nodeClass);
    const { code, inputBytes } = this.#needs;
    const key = { code, inputBytes, nodeClass };
    const prediction = this.#market.places.learned.runTimes.predict(key, RUN_COVERAGE);
    const known = prediction.depth >= DEPTH_OF_CODE ? prediction : undefined;
    this.#byClass.set(nodeClass, known);
    return known;
  }

  /** The run alone on a machine of this class and pace; never beyond the wall limit, which ends it. */
  run(nodeClass: string, pace: number, slowdown = 1): Run {
    const { wallMs } = this.#needs.limits;
    const known = this.#predicted(nodeClass);
    if (!known)
      return {
        expectedMs: Math.min(wallMs, (wallMs * UNKNOWN_SHARE * slowdown * pace) / this.#bestPace),
        ...{ lowMs: 0, highMs: wallMs },
        ...{ isCalibrated: false, isKnown: false },
      };
    const within = (ms: number) => Math.min(wallMs, ms * pace * slowdown);
    return {
      ...{ expectedMs: within(known.expectedMs), lowMs: within(known.lowMs) },
      highMs: known.isCalibrated ? within(known.highMs) : wallMs,
      ...{ isCalibrated: known.isCalibrated, isKnown: true },
    };
  }
}

/** Time to fetch what this provider does not hold yet. */
export function transferMs(market: Market, needs: JobNeeds, provider: string): number {
  let missing = 0;
  for (const { cid, sizeBytes } of needs.inputs ?? [])
    if (!market.places.holds(provider, cid)) missing += sizeBytes;
  if (needs.inputs === undefined) missing = needs.inputBytes;
  return missing / BYTES_PER_MS;
}

/** Classes of the work that a provider has now, each with what its level lets it suffer. */
export function neighboursOf(
  market: Market,
  provider: ProviderState,
  except?: string,
): readonly number[] {
  const classes: number[] = [];
  for (const id of provider.holding) {
    const row = market.orders.get(id);
    if (row && id !== except) classes.push(market.places.learned.workClassOf(row.needs.code));
  }
  return classes;
}

/** Slowdown foreseen beside what runs there now; undefined when somebody there would suffer too much. */
export function slowdownOf(
  market: Market,
  needs: JobNeeds,
  provider: ProviderState,
): number | undefined {
  const { learned } = market.places;
  if (provider.holding.size === 0 || learned.interference.isQuiet) return 1;
  const counts = Array.from({ length: WORK_CLASSES }, () => 0);
  for (const other of neighboursOf(market, provider)) counts[other] = (counts[other] ?? 0) + 1;
  const { slowdownCap } = LEVELS[provider.row.offer.level];
  return learned.interference.slowdownWithin(learned.workClassOf(needs.code), counts, slowdownCap);
}

/** Time until a slot of this provider falls free and its turn has come; 0 with room now. */
export function waitMs(
  market: Market,
  needs: JobNeeds,
  { provider }: Candidate,
  run: Run,
  nowMs: number,
): number {
  const { places } = market;
  const rests = places.isUnsteady(provider.row.provider, nowMs);
  if (!rests && hasRoom(provider, needs)) return 0;
  const slots = Math.max(1, provider.row.offer.slots);
  let leftMs = 0;
  for (const id of provider.holding) {
    const row = market.orders.get(id);
    leftMs += row ? usualMs(market, row.needs) / 2 : run.expectedMs;
  }
  const holding = provider.holding.size;
  const first = holding === 0 ? run.expectedMs : leftMs / holding / Math.min(slots, holding);
  const ahead = places.waiting.size / Math.max(1, places.tenants.slots);
  return first + ahead * run.expectedMs;
}

/** How long such a job usually runs. */
export const usualMs = (market: Market, { code, limits }: JobNeeds): number =>
  market.places.learned.useOf(code)?.wallMs ?? limits.wallMs * UNKNOWN_SHARE;
