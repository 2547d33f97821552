/**
 * Money of orders of many tasks: it is held batch by batch, so the market has to know before each grant
 * what the consumer's prepaid balance still covers. Where it covers nothing more the order pauses.
 */
import { MARKET_ENTRIES } from '#libs/audit';
import { formatAmount } from '#libs/kernel';
import { logStep } from '../job-log.ts';
import type { MarketEvent } from '../model/events.ts';
import type { OrderRow } from '../model/rows.ts';
import { reservedOf } from '../reserved.ts';
import { type Market, type Step, emit, orderOf, updateOrder, withoutFields } from '../state.ts';
import { arrayOf, pendingUnits } from './batches.ts';

/** What the consumer's balance still covers, as far as it was read; undefined when it never was. */
export function coverOf(market: Market, consumer: string): bigint | undefined {
  const read = market.balances.get(consumer);
  return read && read.amount - reservedOf(market, consumer, read.height);
}

/**
 * How many units at this price may be handed out now. When none may, the balance is read again unless
 * that was just done; then the order pauses.
 */
export function affordableUnits(
  step: Step,
  row: OrderRow,
  unitPrice: bigint,
  most: number,
): number {
  const { market } = step;
  const { consumer } = row.signed.order;
  const cover = coverOf(market, consumer);
  if (cover !== undefined && (unitPrice === 0n || cover >= unitPrice * BigInt(most))) return most;
  if (cover !== undefined && cover >= unitPrice) return Number(cover / unitPrice);
  const read = market.balances.get(consumer);
  if (read && read.height >= market.meta.height) pause(step, row, unitPrice, cover ?? 0n);
  else askBalance(step, consumer);
  watchFunds(step, row.id);
  return 0;
}

function pause(step: Step, row: OrderRow, unitPrice: bigint, cover: bigint): void {
  if (row.work !== 'running') return;
  const code = 'MARKET_FUNDS_LOW';
  const text = `${formatAmount(cover < 0n ? 0n : cover)} prepaid and free, one more unit may cost ${formatAmount(unitPrice)}: deposit more`;
  updateOrder(step, row.id, { work: 'paused', reason: { code, text } });
  step.market.places.waiting.delete(row.id);
  logStep(step, row.id, 'paused', MARKET_ENTRIES.paused, { code, reason: text });
}

/** Looks at the balance from time to time, should the news of a deposit be lost. */
function watchFunds(step: Step, id: string): void {
  const { market, now } = step;
  market.deadlines.setEarlier(`funds/${id}`, now.monotonicMs + market.config.times.chainRetryMs);
}

export function fundsDue(step: Step, id: string): void {
  const row = step.market.orders.get(id);
  if (!row?.array || (row.work !== 'running' && row.work !== 'paused')) return;
  step.market.readingBalance.delete(row.signed.order.consumer);
  askBalance(step, row.signed.order.consumer);
  if (pendingUnits(row.array) > 0) watchFunds(step, id);
}

function askBalance(step: Step, account: string): void {
  const { readingBalance } = step.market;
  if (readingBalance.has(account)) return;
  readingBalance.add(account);
  emit(step, { kind: 'readBalance', account });
}

/** Money came in: paused orders may go on. */
export function depositSeen(step: Step, account: string): void {
  for (const id of step.market.openByConsumer.get(account) ?? [])
    if (step.market.orders.get(id)?.work === 'paused') {
      step.market.readingBalance.delete(account);
      return askBalance(step, account);
    }
}

/** A newer reading; gives the orders that may go on. */
export function balanceRead(
  step: Step,
  { account, balance }: Extract<MarketEvent, { kind: 'balanceRead' }>,
): readonly string[] {
  const { market } = step;
  market.readingBalance.delete(account);
  noteBalance(market, account, balance);
  const able: string[] = [];
  for (const id of market.openByConsumer.get(account) ?? []) {
    const row = orderOf(market, id);
    if (!row.array || pendingUnits(row.array) === 0) continue;
    if (row.work !== 'running' && row.work !== 'paused') continue;
    const cover = coverOf(market, account) ?? 0n;
    const { unitPrice } = arrayOf(row);
    if (row.work === 'paused' && cover < unitPrice) continue;
    if (row.work === 'paused') {
      updateOrder(step, id, { work: 'running' });
      withoutFields(step, id, 'reason');
      logStep(step, id, 'resumed', MARKET_ENTRIES.resumed, {});
    }
    able.push(id);
  }
  return able;
}

const BALANCES_MAX = 100_000;

export function noteBalance(
  { balances }: Market,
  account: string,
  balance: { readonly amount: bigint; readonly height: number },
): void {
  const known = balances.get(account);
  if (known && known.height > balance.height) return;
  balances.delete(account);
  balances.set(account, balance);
  if (balances.size > BALANCES_MAX) balances.delete(balances.keys().next().value as string);
}
