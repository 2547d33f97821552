/** Placing orders: which queue, which provider, whose turn when a slot falls free, and why. */
import { MARKET_ENTRIES } from '#libs/audit';
import { type CodecValue, formatAmount } from '#libs/kernel';
import { distrustFor } from '../checks/bonds.ts';
import { misfitOf } from '../fitting.ts';
import type { JobNeeds, OrderRow } from '../model/rows.ts';
import { freeSlots, hasRoom } from '../room.ts';
import { type Market, type ProviderState, type Step, orderOf } from '../state.ts';
import { absenceOf } from './absence.ts';
import { type Choice, type Job, type PlaceOffer, choosePlace } from './choose.ts';
import { behindMs } from '../graph/path.ts';
import { slowdownOf } from './outlook.ts';
import { PRIORITY_PRESET } from './terms.ts';

export type LeaseInputs = NonNullable<CodecValue<typeof MARKET_ENTRIES.leased>['inputs']>;

const MS = 1000;
const TASTE = { A: 'cheapest', B: 'fastest', C: 'safest' } as const;
/** A freed slot looks at so many waiting orders of each account, and in all. */
const WAITING_SCAN = 64;
const WAITING_SCAN_ALL = 1024;
/** Filters over all providers are counted for a decision's inputs up to this many of them. */
const COUNT_FILTERS_UP_TO = 256;

/** The most that may be charged for an order: its cap, or what its quote promised if that is less. */
export const capOf = ({ signed, forecast, array }: OrderRow): bigint => {
  // A provider sees one unit at a time.
  const priceCap = array?.unitPrice ?? signed.order.priceCap;
  const promised = forecast?.price;
  return promised !== undefined && promised < priceCap ? promised : priceCap;
};

export const jobOf = (row: OrderRow, nowUs: number): Job => ({
  needs: row.needs,
  priceCap: capOf(row),
  deadlineMs: (row.signed.order.completeByUs - nowUs) / MS,
  tried: row.array?.again[0]?.tried ?? row.tried,
  ...(row.avoid && { avoid: new Set(row.avoid) }),
});

/** The best provider with room now; undefined when there is none. */
export function bestPlace({ market, now, randomness }: Step, job: Job): Choice | undefined {
  return choosePlace(market, job, {
    ...{ mustHaveRoom: true, nowMs: now.monotonicMs, draws: randomness },
  });
}

/** The queue of the cell where the job would go if all had room. */
export function bestCellOf({ market, now, randomness }: Step, job: Job): string | undefined {
  const options = { mustHaveRoom: false, nowMs: now.monotonicMs, draws: randomness };
  const choice = choosePlace(market, job, options);
  return choice && nameOf(choice);
}

const nameOf = ({ cell: { domain, level } }: Choice): string => `${domain}.${level.name}`;

/** It waits for a slot, behind whoever has less. */
export function waitForRoom(step: Step, row: OrderRow): void {
  const { market, now } = step;
  const priority = row.needs.placement?.priority ?? PRIORITY_PRESET;
  const tailMs = behindMs(market, row.id, now.timeUs);
  market.places.waiting.add(row.id, row.signed.order.consumer, priority, tailMs);
}

/** May this provider take the job at this moment? */
export function mayTake({ market, now }: Step, provider: ProviderState, job: Job): boolean {
  const { needs, priceCap, avoid } = job;
  return (
    avoid?.has(provider.row.provider) !== true &&
    !absenceOf(market, provider, now.monotonicMs) &&
    hasRoom(provider, needs) &&
    misfitOf(provider.row.offer, needs, priceCap) === undefined &&
    distrustFor(market, provider, needs) === undefined &&
    slowdownOf(market, needs, provider) !== undefined
  );
}

/**
 * Waiting orders for a provider with room, in turn: whoever has the least share first, and of one account
 * the higher priority, then the older. Gives each order that may go there; the caller binds it, or not.
 */
export function* ordersInTurn(step: Step, provider: ProviderState): Generator<OrderRow> {
  const { market } = step;
  const { waiting, tenants } = market.places;
  const skipped = new Set<string>();
  let scanned = 0;
  while (waiting.size > 0 && freeSlots(provider) > 0) {
    const account = tenants.next(waiting.accounts, skipped);
    if (account === undefined) return;
    let found: OrderRow | undefined;
    let looked = 0;
    for (const id of waiting.of(account)) {
      if (++scanned > WAITING_SCAN_ALL) return;
      if (++looked > WAITING_SCAN) break;
      const row = orderOf(market, id);
      if (mayTake(step, provider, jobOf(row, step.now.timeUs))) {
        found = row;
        break;
      }
    }
    if (!found) skipped.add(account);
    else {
      waiting.delete(found.id);
      yield found;
    }
  }
}

interface Described {
  readonly considered: number;
  readonly candidates: number;
  readonly left: LeaseInputs['left'];
}

function describe(step: Step, needs: JobNeeds, priceCap: bigint | undefined): Described {
  const { market, now } = step;
  const considered = market.providers.size;
  if (considered > COUNT_FILTERS_UP_TO) {
    const { cells, left } = market.places.fits.of(market.providers, needs);
    return {
      considered,
      candidates: cells.reduce((sum, { candidates }) => sum + candidates.length, 0),
      left: [...left].map(([code, providers]) => ({ code, providers })),
    };
  }
  const left = new Map<string, number>();
  let candidates = 0;
  for (const provider of market.providers.values()) {
    const code =
      absenceOf(market, provider, now.monotonicMs) ??
      misfitOf(provider.row.offer, needs, priceCap) ??
      distrustFor(market, provider, needs) ??
      (hasRoom(provider, needs) ? undefined : 'busy');
    if (code) left.set(code, (left.get(code) ?? 0) + 1);
    else candidates += 1;
  }
  return { considered, candidates, left: [...left].map(([code, n]) => ({ code, providers: n })) };
}

/** What the choice was made from, for the job's log. Take it before the lease is granted. */
export function inputsOf(step: Step, row: OrderRow, choice: Choice): LeaseInputs {
  const { needs, tried } = row;
  const described = describe(step, needs, capOf(row));
  const { offer, score, runnerUp } = choice;
  const over = runnerUp ? `; the next best asks ${formatAmount(runnerUp.offer.exactPrice)}` : '';
  const before = tried.length > 0 ? ', after those that had not failed it' : '';
  const taste = needs.placement?.weights ? 'best by its weights' : TASTE[needs.tier];
  const { expectedMs, lowMs, highMs, isCalibrated } = offer.run;
  return {
    ...described,
    because: `${taste} of ${described.candidates} with room${before}${over}`,
    ...{ cell: nameOf(choice), cells: choice.cells, visited: choice.visited },
    looked: choice.looked,
    winner: scored(offer, score),
    ...(runnerUp && { runnerUp: scored(runnerUp.offer, runnerUp.score) }),
    prediction: {
      ...{ expectedMs: Math.round(expectedMs), lowMs: Math.floor(lowMs) },
      ...{ highMs: Math.ceil(highMs), isCalibrated },
    },
    tenant: tenantOf(step.market, row),
  };
}

const scored = ({ provider }: PlaceOffer, score: Choice['score']) => ({
  ...{ provider: provider.row.provider, cost: score.cost, time: score.time, risk: score.risk },
  ...{ packing: score.packing, total: score.total },
});

function tenantOf({ places }: Market, row: OrderRow) {
  const { waiting, tenants } = places;
  return {
    share: tenants.shareOf(row.signed.order.consumer),
    ...{ accounts: waiting.accountCount, waiting: waiting.size },
  };
}

/** It waited, and of those that did it was its turn. */
export function inputsOfTurn({ market, now }: Step, row: OrderRow): LeaseInputs {
  const waitedMs = Math.max(0, Math.round((now.timeUs - row.acceptedAtUs) / MS));
  const because = `the first that fits with a slot free again, in turn ${waitedMs} ms after the order`;
  return { considered: 1, candidates: 1, left: [], because, tenant: tenantOf(market, row) };
}

/** Nobody had room, so cheap work on an eco machine gave way. */
export function inputsOfPreemption(step: Step, row: OrderRow, victim: string): LeaseInputs {
  const because = `nobody had room; eco work of order ${victim.slice(0, 12)} gave way`;
  return { ...describe(step, row.needs, capOf(row)), because, tenant: tenantOf(step.market, row) };
}
