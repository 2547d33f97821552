/**
 * Why an order waits, runs or ended: for a waiting one how many providers each filter leaves out and what
 * the smallest changes would be with which it would run; for every one the decisions of its log with what
 * went into them. Reads only.
 */
import { MARKET_ENTRIES, type MarketEntryKind, isMarketKind } from '#libs/audit';
import { type Bytes, type Codec, decodeWith, formatAmount } from '#libs/kernel';
import { kindsOf } from './agent-protocol.ts';
import { distrustFor } from './checks/bonds.ts';
import { cellOf, misfitOf, misfitsOf } from './fitting.ts';
import type { JobNeeds, OrderRow } from './model/rows.ts';
import type {
  CellView,
  Change,
  Decision,
  QuoteReason,
  Relaxation,
  Waiting,
} from './model/views.ts';
import { priceAtLimits } from './pricing.ts';
import { absenceOf } from './placement/absence.ts';
import { slowdownOf } from './placement/outlook.ts';
import { capOf } from './placement/place.ts';
import { reasonsOf } from './quote.ts';
import { hasRoom } from './room.ts';
import type { UnitSet } from '#contracts';
import type { Market, ProviderState } from './state.ts';

const RELAXATIONS_MAX = 5;

interface Filtered {
  readonly fitting: number;
  readonly free: number;
  readonly filters: readonly QuoteReason[];
  readonly cells: readonly CellView[];
}

/** What keeps which providers from taking the job now, by the first filter that each one meets. */
function filtersOf(
  market: Market,
  needs: JobNeeds,
  priceCap: bigint | undefined,
  nowMs: number,
): Filtered {
  const all = new Map<QuoteReason['code'], number>();
  const cells = new Map<string, Counted>();
  for (const provider of market.providers.values()) {
    const { offer } = provider.row;
    const code =
      absenceOf(market, provider, nowMs) ??
      misfitOf(offer, needs, priceCap) ??
      distrustFor(market, provider, needs) ??
      fullness(market, provider, needs);
    const cell = cells.get(cellOf(offer)) ?? { providers: 0, fitting: 0, free: 0, left: {} };
    cells.set(cellOf(offer), cell);
    cell.providers += 1;
    if (code === undefined || code === 'busy' || code === 'neighbours') cell.fitting += 1;
    if (code === undefined) cell.free += 1;
    else {
      cell.left[code] = (cell.left[code] ?? 0) + 1;
      all.set(code, (all.get(code) ?? 0) + 1);
    }
  }
  const views = [...cells].map(([cell, counted]) => ({ cell, ...counted }));
  return {
    fitting: views.reduce((sum, { fitting }) => sum + fitting, 0),
    free: views.reduce((sum, { free }) => sum + free, 0),
    filters: reasonsOf(all, needs),
    cells: views.toSorted((a, b) => (a.cell < b.cell ? -1 : 1)),
  };
}

interface Counted {
  providers: number;
  fitting: number;
  free: number;
  left: Partial<Record<QuoteReason['code'], number>>;
}

function fullness(market: Market, provider: ProviderState, needs: JobNeeds) {
  if (!hasRoom(provider, needs)) return 'busy';
  return slowdownOf(market, needs, provider) === undefined ? 'neighbours' : undefined;
}

/**
 * The smallest changes to a job with which a provider that is there would take it: fewest changes first,
 * then the cheapest. Tier C's domains are a promise and not among them unless nothing else is left.
 */
export function relaxationsOf(
  market: Market,
  needs: JobNeeds,
  priceCap: bigint | undefined,
): readonly Relaxation[] {
  const found = new Map<string, Relaxation>();
  for (const provider of market.providers.values()) {
    if (absenceOf(market, provider)) continue;
    const { offer } = provider.row;
    const misfits = misfitsOf(offer, needs, priceCap);
    if (misfits.length === 0) continue;
    const price = priceAtLimits(offer, needs.limits);
    const changes = misfits.map((misfit) => changeOf(misfit, provider, needs, priceCap));
    const key = changes.map(({ field, to }) => `${field}=${to}`).join();
    const known = found.get(key);
    if (known && known.price <= price) continue;
    found.set(key, { changes, price, cell: cellOf(offer), provider: offer.provider });
  }
  return [...found.values()]
    .toSorted((a, b) => a.changes.length - b.changes.length || (a.price < b.price ? -1 : 1))
    .slice(0, RELAXATIONS_MAX);
}

function changeOf(
  misfit: ReturnType<typeof misfitsOf>[number],
  { row: { offer } }: ProviderState,
  needs: JobNeeds,
  priceCap: bigint | undefined,
): Change {
  switch (misfit) {
    case 'domain':
      return domainChange(needs, offer.domain);
    case 'level': {
      const from = needs.placement?.levels?.join(' ') ?? '';
      return { field: 'placement.levels', from, to: offer.level };
    }
    case 'region': {
      const from = needs.placement?.regions?.join(' ') ?? '';
      return { field: 'placement.regions', from, to: offer.region ?? 'any' };
    }
    case 'kind':
      return { field: 'kind', from: needs.kind ?? 'js', to: kindsOf(offer).join(' or ') };
    case 'isolation':
      return { field: 'minIsolation', from: needs.minIsolation, to: offer.isolation };
    case 'cores':
      return { field: 'resources.cores', from: String(needs.cores), to: String(offer.cores) };
    case 'memory':
      return {
        ...{ field: 'memoryBytes', from: String(needs.memoryBytes), to: String(offer.memoryBytes) },
      };
    case 'disk':
      return { field: 'diskBytes', from: String(needs.diskBytes), to: String(offer.diskBytes) };
    case 'price': {
      const price = priceAtLimits(offer, needs.limits);
      return { field: 'priceCap', from: formatAmount(priceCap ?? 0n), to: formatAmount(price) };
    }
  }
}

function domainChange({ tier, placement }: JobNeeds, domain: string): Change {
  const isTiers = tier === 'C' && (domain === 'public' || domain === 'vetted');
  if (isTiers) return { field: 'tier', from: tier, to: 'A or B' };
  return { field: 'placement.domains', from: placement?.domains?.join(' ') ?? '', to: domain };
}

/** A relaxation in one line. */
export const relaxationText = ({ changes, price, cell }: Relaxation): string =>
  `${changes.map(({ field, from, to }) => `${field} ${from} → ${to}`).join(', ')}: ${formatAmount(price)} in ${cell}`;

/** Why an order waits; undefined when it does not. */
export function waitingOf(market: Market, row: OrderRow, monotonicMs: number): Waiting | undefined {
  const waits = row.work === 'queued' || row.work === 'blocked';
  if (!waits || row.endedAtUs !== undefined) return undefined;
  const cap = capOf(row);
  const { fitting, free, filters, cells } = filtersOf(market, row.needs, cap, monotonicMs);
  const leftMs = (market.deadlines.at(`binding/${row.id}`) ?? monotonicMs) - monotonicMs;
  return {
    text: waitingText(market, row, { fitting, free, backoffMs: Math.max(0, Math.round(leftMs)) }),
    ...{ considered: market.providers.size, fitting, free, filters, cells },
    tenant: {
      share: market.places.tenants.shareOf(row.signed.order.consumer),
      own: market.places.waiting.countOf(row.signed.order.consumer),
      waiting: market.places.waiting.size,
      accounts: market.places.waiting.accountCount,
    },
    relaxations: fitting > 0 ? [] : relaxationsOf(market, row.needs, cap),
  };
}

function waitingText(
  market: Market,
  row: OrderRow,
  { fitting, free, backoffMs }: { fitting: number; free: number; backoffMs: number },
): string {
  if (row.work === 'blocked') return inputsText(market, row);
  if (row.rebuilding === true) return 'its manifest is being read: the market lost its records';
  if (fitting === 0)
    return `no provider that is there fits: change the job as below, or wait for others; at completeBy its money goes back`;
  if (market.places.waiting.has(row.id))
    return `all of the ${fitting} that fit are busy; it takes the next slot that falls free in its turn`;
  const failures = row.tried.length > 0 ? ` after ${row.tried.length} failed attempts` : '';
  if (failures !== '') return `the next attempt comes in at most ${backoffMs} ms${failures}`;
  return free > 0 ? 'it is about to be given to a provider' : 'its turn in the queue is near';
}

const INPUTS_SHOWN = 4;

/** Which inputs are not there yet, and where those stand that make them. */
function inputsText(market: Market, { sources = [] }: OrderRow): string {
  const missing = sources.filter(({ cid }) => cid === undefined);
  const shown = missing.slice(0, INPUTS_SHOWN).map(({ name, order, result }) => {
    const work = market.orders.get(order)?.work ?? 'unknown';
    const stage = result === undefined ? `which is ${work}` : 'which is being put together';
    return `${JSON.stringify(name)} of order ${order.slice(0, 12)}, ${stage}`;
  });
  const more = missing.length - shown.length;
  return `its inputs: ${shown.join('; ')}${more > 0 ? `; and ${more} more` : ''}`;
}

/** The market's entries of a job's log as decisions, in words and with their inputs. */
export function decisionsOf(
  entries: Iterable<{ readonly kind: string; readonly timeUs: number; readonly data: Bytes }>,
): readonly Decision[] {
  const decisions: Decision[] = [];
  for (const { kind, timeUs, data } of entries) {
    if (!isMarketKind(kind)) continue;
    decisions.push({ kind, timeUs, data, text: decisionText(kind, data) });
  }
  return decisions;
}

const RANGES_SHOWN = 8;

/** `0–199, 204`; the first ranges of many. */
function unitsText(units: UnitSet): string {
  const shown = units
    .slice(0, RANGES_SHOWN)
    .map(({ from, count }) => (count === 1 ? `${from}` : `${from}–${from + count - 1}`));
  const more = units.length - shown.length;
  return `${shown.join(', ')}${more > 0 ? ` and ${more} ranges more` : ''}`;
}

type Words = { readonly [K in MarketEntryKind]: (data: DataOf<K>) => string };
type DataOf<K extends MarketEntryKind> =
  (typeof MARKET_ENTRIES)[K] extends Codec<infer T> ? T : never;

const WORDS: Words = {
  accepted: ({ priceCap }) => `valid and covered: taken on for at most ${formatAmount(priceCap)}`,
  rebuilt: ({ state, height }) =>
    `the market’s records were lost; taken over from the chain as ${state} at block ${height}`,
  placed: ({ height }) => `block ${height} holds its money`,
  leased: ({ price, fence, inputs }) =>
    `given to a provider for at most ${formatAmount(price)}, attempt ${fence % 1_000_000}${inputs ? `: ${inputs.because}` : ''}`,
  input: ({ name, order, task, sizeBytes }) =>
    `input ${name} is there: ${sizeBytes} bytes of order ${order.slice(0, 12)}${task === undefined ? '' : `, task ${task}`}`,
  bound: ({ height }) => `block ${height} binds it to the provider`,
  lost: ({ code, reason }) => `taken back (${code}): ${reason}`,
  delivered: ({ exit, charge }) =>
    `delivery accepted: exit ${exit}, charge ${formatAmount(charge)}`,
  failed: ({ code, reason }) => `given up (${code}): ${reason}`,
  cancelled: ({ code, reason }) => `cancelled (${code}): ${reason}`,
  rejected: ({ code, reason }) => `not taken by the chain (${code}): ${reason}`,
  settled: ({ paid, refunded }) =>
    `settled: ${formatAmount(paid)} paid, ${formatAmount(refunded)} back to the consumer`,
  refunded: ({ refunded, how }) => `${how}: ${formatAmount(refunded)} back to the consumer`,
  'units-leased': ({ units, fence, unitPrice }) =>
    `batch ${fence}: units ${unitsText(units)} given to a provider for at most ${formatAmount(unitPrice)} each`,
  'units-delivered': ({ units, fence, charge }) =>
    `batch ${fence}: units ${unitsText(units)} delivered, charge ${formatAmount(charge)}`,
  'units-lost': ({ units, fence, code, reason }) =>
    `batch ${fence}: units ${unitsText(units)} taken back (${code}): ${reason}`,
  'units-given-up': ({ units, code, reason }) =>
    `units ${unitsText(units)} given up (${code}): ${reason}`,
  'units-settled': ({ fence, paid, refunded }) =>
    `batch ${fence} settled: ${formatAmount(paid)} paid, ${formatAmount(refunded)} back to the consumer`,
  checked: ({ code, reason, units }) =>
    `checked (${code}): ${units ? `units ${unitsText(units)}: ` : ''}${reason}`,
  paused: ({ code, reason }) => `paused (${code}): ${reason}`,
  resumed: () => 'goes on',
};

function decisionText<K extends MarketEntryKind>(kind: K, data: Bytes): string {
  const codec = MARKET_ENTRIES[kind] as unknown as Codec<DataOf<K>>;
  return WORDS[kind](decodeWith(codec, data));
}
