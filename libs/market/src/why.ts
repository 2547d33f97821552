/**
 * Why an order waits, runs or ended: for a waiting one how many providers each filter leaves out and what
 * the smallest changes would be with which it would run; for every one the decisions of its log with what
 * went into them. Reads only.
 */
import { MARKET_ENTRIES, type MarketEntryKind, isMarketKind } from '#libs/audit';
import { type Bytes, type Codec, decodeWith, formatAmount } from '#libs/kernel';
import { kindsOf } from './agent-protocol.ts';
import { cellOf, misfitOf, misfitsOf } from './fitting.ts';
import type { JobNeeds, OrderRow } from './model/rows.ts';
import type { Change, Decision, QuoteReason, Relaxation, Waiting } from './model/views.ts';
import { priceAtLimits } from './pricing.ts';
import { absenceOf, reasonsOf } from './quote.ts';
import { hasRoom } from './room.ts';
import type { UnitSet } from '#contracts';
import type { Market, ProviderState } from './state.ts';

const RELAXATIONS_MAX = 5;

/** What keeps which providers from taking the job now, by the first filter that each one meets. */
export function filtersOf(
  market: Market,
  needs: JobNeeds,
  priceCap: bigint | undefined,
): { readonly fitting: number; readonly free: number; readonly filters: readonly QuoteReason[] } {
  const left = new Map<QuoteReason['code'], number>();
  let fitting = 0;
  let free = 0;
  for (const provider of market.providers.values()) {
    const misfit = misfitOf(provider.row.offer, needs, priceCap);
    const code = absenceOf(provider) ?? misfit ?? (hasRoom(provider, needs) ? undefined : 'busy');
    if (code === undefined || code === 'busy') fitting += 1;
    if (code === undefined) free += 1;
    else left.set(code, (left.get(code) ?? 0) + 1);
  }
  return { fitting, free, filters: reasonsOf(left, needs) };
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
    if (absenceOf(provider)) continue;
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
      return { field: 'tier', from: needs.tier, to: 'A or B' };
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

/** A relaxation in one line. */
export const relaxationText = ({ changes, price, cell }: Relaxation): string =>
  `${changes.map(({ field, from, to }) => `${field} ${from} → ${to}`).join(', ')}: ${formatAmount(price)} in ${cell}`;

/** Why an order waits; undefined when it does not. */
export function waitingOf(market: Market, row: OrderRow, monotonicMs: number): Waiting | undefined {
  if (row.work !== 'queued' || row.endedAtUs !== undefined) return undefined;
  const { priceCap } = row.signed.order;
  const { fitting, free, filters } = filtersOf(market, row.needs, priceCap);
  const leftMs = (market.deadlines.at(`binding/${row.id}`) ?? monotonicMs) - monotonicMs;
  return {
    text: waitingText(market, row, { fitting, free, backoffMs: Math.max(0, Math.round(leftMs)) }),
    ...{ considered: market.providers.size, fitting, free, filters },
    relaxations: fitting > 0 ? [] : relaxationsOf(market, row.needs, priceCap),
  };
}

function waitingText(
  market: Market,
  row: OrderRow,
  { fitting, free, backoffMs }: { fitting: number; free: number; backoffMs: number },
): string {
  if (row.rebuilding === true) return 'its manifest is being read: the market lost its records';
  if (fitting === 0)
    return `no provider that is there fits: change the job as below, or wait for others; at completeBy its money goes back`;
  if (market.waiting.has(row.id))
    return `all of the ${fitting} that fit are busy; it takes the next slot that falls free`;
  const failures = row.tried.length > 0 ? ` after ${row.tried.length} failed attempts` : '';
  if (failures !== '') return `the next attempt comes in at most ${backoffMs} ms${failures}`;
  return free > 0 ? 'it is about to be given to a provider' : 'its turn in the queue is near';
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
  paused: ({ code, reason }) => `paused (${code}): ${reason}`,
  resumed: () => 'goes on',
};

function decisionText<K extends MarketEntryKind>(kind: K, data: Bytes): string {
  const codec = MARKET_ENTRIES[kind] as unknown as Codec<DataOf<K>>;
  return WORDS[kind](decodeWith(codec, data));
}
