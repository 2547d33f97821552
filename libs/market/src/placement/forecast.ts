/** When an order would be done: what is told, promised and later compared with what happened. */
import { formatAmount } from '#libs/kernel';
import type { JobNeeds, OrderRow } from '../model/rows.ts';
import type { Refusal } from '../model/views.ts';
import type { Market, Step } from '../state.ts';
import { type Choice, type ChooseOptions, choosePlace } from './choose.ts';
import type { Learned } from './learned.ts';
import type { Promised } from './promise.ts';
import type { Forecast } from './terms.ts';

/** Room for what nobody measured yet: queues, storage, the result's check. */
const SLACK_MS = 3_000;
const WAIT_FACTOR = 4;
const WORST_FACTOR = 2;
const MS = 1000;
/** So few may be done before the interval; with those after it 98 of 100 are kept, where 95 are aimed at. */
const EARLY_TAIL = 0.005;
/** A start that is further away than this had to wait for something. */
const WAITED_MS = 500;
/** Times are compared above this: nobody cares about a factor of a few milliseconds. */
const FLOOR_MS = 20;

export interface Foreseen {
  readonly likelyMs: number;
  readonly lowMs: number;
  readonly highMs: number;
  readonly isCalibrated: boolean;
  readonly errorClass: number;
}

/** From acceptance to the accepted delivery, if the job went there now. */
export function foresee(
  market: Market,
  { limits }: JobNeeds,
  { offer }: Pick<Choice, 'offer'>,
): Foreseen {
  const { run, startMs } = offer;
  const likelyMs = startMs + run.expectedMs;
  const errorClass = (run.isKnown ? 2 : 0) + (startMs > WAITED_MS ? 1 : 0);
  const { learned } = market.places;
  const errors = learned.finishErrors[errorClass];
  const [early, late] = [errors?.lower(EARLY_TAIL), errors?.upper(learned.lateTailOf(errorClass))];
  const guessMs = SLACK_MS + WAIT_FACTOR * startMs + limits.wallMs;
  const at = (log: number) => (likelyMs + FLOOR_MS) * Math.exp(log) - FLOOR_MS;
  // While too little is known the worst that was seen counts twice: the machines may be overloaded.
  const worstMs = WORST_FACTOR * at(learned.worstFinishError);
  return {
    likelyMs,
    lowMs: early === undefined ? 0 : Math.max(0, Math.floor(at(early))),
    highMs: Math.ceil(late === undefined ? Math.max(guessMs, worstMs) : at(late)),
    ...{ isCalibrated: late !== undefined, errorClass },
  };
}

/** What is stored with an order: a quote's promise where it has one, else what is foreseen now. */
export function forecastOf(
  market: Market,
  needs: JobNeeds,
  choice: Choice | undefined,
  promised: Promised | undefined,
): Forecast | undefined {
  if (promised) {
    const { quote, finishMs, lowMs, highMs, errorClass } = promised;
    const price = promised.unitPrice ?? promised.price;
    return { finishMs, lowMs, highMs, errorClass, quote, price };
  }
  if (!choice) return undefined;
  const { likelyMs, lowMs, highMs, errorClass } = foresee(market, needs, choice);
  return { finishMs: Math.round(likelyMs), lowMs, highMs, errorClass };
}

/** The order's delivery was accepted: what was foreseen is compared with what happened. */
export function observeFinish({ market, now }: Step, row: OrderRow, charge: bigint): void {
  const { forecast } = row;
  if (!forecast) return;
  const { learned } = market.places;
  const realMs = Math.max(0, (now.timeUs - (row.readyAtUs ?? row.acceptedAtUs)) / MS);
  const error = Math.log((realMs + FLOOR_MS) / (forecast.finishMs + FLOOR_MS));
  learned.finishErrors[forecast.errorClass]?.observe(error);
  learned.observeLate(forecast.errorClass, realMs > forecast.highMs);
  learned.touch(`errors f${forecast.errorClass}`);
  countQuote(learned, forecast, { realMs, isDear: charge > (forecast.price ?? charge) });
}

/** The last task of many was done: the quote that the order came with was kept, or was not. */
export function observeArrayFinish({ market, now }: Step, row: OrderRow): void {
  const { array, forecast, readyAtUs, acceptedAtUs } = row;
  if (!array || !forecast) return;
  const realMs = Math.max(0, (now.timeUs - (readyAtUs ?? acceptedAtUs)) / MS);
  const most = (forecast.price ?? array.unitPrice) * BigInt(array.tasks * array.replicas);
  countQuote(market.places.learned, forecast, { realMs, isDear: array.charged > most });
}

function countQuote(
  learned: Learned,
  { quote, lowMs, highMs }: Forecast,
  { realMs, isDear }: { readonly realMs: number; readonly isDear: boolean },
): void {
  if (quote === undefined) return;
  if (isDear) learned.quoteEnded('dear');
  else if (realMs < lowMs || realMs > highMs) learned.quoteEnded('late');
  else learned.quoteEnded('kept');
}

/** An order with a quote was given up: nobody but the market and its providers answers for that. */
export function observeGivenUp({ market }: Step, { forecast, work }: OrderRow): void {
  if (forecast?.quote !== undefined && work === 'failed')
    market.places.learned.quoteEnded('failed');
}

export interface Admission {
  readonly choice: Choice | undefined;
  readonly refusal?: Refusal;
}

/**
 * Where the job would go, or why no machine can make its deadline: known run times count at the late end
 * of their 90 % interval, unknown ones at what is expected (their wall limit fits, or it is refused before).
 */
export function admit(
  market: Market,
  needs: JobNeeds,
  priceCap: bigint,
  deadlineMs: number,
  options: Omit<ChooseOptions, 'mustHaveRoom'>,
): Admission {
  const job = { needs, priceCap, tried: [] };
  const anywhere = { ...options, mustHaveRoom: false };
  const choice = choosePlace(market, { ...job, deadlineMs }, anywhere);
  if (choice && lateMs(choice) <= deadlineMs) return { choice };
  const cells = market.places.fits.of(market.providers, needs).cells;
  const others = cells.flatMap(
    ({ name }) =>
      choosePlace(market, { ...job, deadlineMs: Infinity }, { ...anywhere, cell: name }) ?? [],
  );
  const inTime = others.find((other) => lateMs(other) <= deadlineMs);
  if (inTime || others.length === 0) return { choice: inTime ?? choice };
  const soonest = others.reduce((a, b) => (lateMs(a) <= lateMs(b) ? a : b));
  const dearer = cells
    .flatMap(({ name }) => {
      const uncapped = { ...job, priceCap: undefined, deadlineMs };
      return choosePlace(market, uncapped, { ...anywhere, cell: name }) ?? [];
    })
    .filter((other) => lateMs(other) <= deadlineMs)
    .toSorted((a, b) => a.offer.price - b.offer.price)[0];
  const later = `completeBy ${Math.ceil(lateMs(soonest) - deadlineMs)} ms later`;
  const better = dearer
    ? `, or priceCap → ${formatAmount(dearer.offer.exactPrice)} in ${dearer.cell.domain}.${dearer.cell.level.name}`
    : '';
  return {
    choice: undefined,
    refusal: {
      code: 'MARKET_DEADLINE',
      message: `with 9 in 10 it would be done within ${Math.ceil(lateMs(soonest))} ms at the soonest, completeBy leaves ${Math.floor(deadlineMs)} ms; it would be taken with ${later}${better}`,
    },
  };
}

const lateMs = ({ offer: { startMs, run } }: Choice): number =>
  startMs + (run.isCalibrated ? run.highMs : run.expectedMs);
