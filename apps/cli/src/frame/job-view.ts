/** How orders, quotes and events look to people. */
import { formatAmount, formatAccount } from '#libs/kernel';
import type { JobEventDocument, OrderDocument, QuoteDocument } from '#libs/sdk';
import type { Output } from './output.ts';
import { bar, formatDuration, shorten, tableLines } from './table.ts';

export function money(units: string | bigint | undefined): string {
  return units === undefined ? '–' : formatAmount(BigInt(units));
}

export function quoteLines(quote: QuoteDocument): string[] {
  const rows = quote.options.map((option) => [
    option.name,
    option.cell,
    option.isolation,
    money(option.expectedPrice),
    money(option.priceCap),
    formatDuration(option.startMs),
    `${formatDuration(option.finishMs.likely)} – ${formatDuration(option.finishMs.latest)}`,
  ]);
  const head = ['provider', 'cell', 'isolation', 'expected', 'at most', 'start', 'done after'];
  const lines =
    rows.length > 0
      ? tableLines(head, rows, ['left', 'left', 'left', 'right', 'right', 'right', 'left'])
      : [];
  const why = quote.reasons.map(({ providers, text }) => `  ${providers} not: ${text}`);
  return [...lines, ...why];
}

function words(event: JobEventDocument): string {
  const { data } = event;
  const text = data['text'] ?? data['line'] ?? data['note'] ?? data['reason'];
  if (typeof text === 'string') return text;
  return Object.entries(data)
    .filter(([, value]) => ['string', 'number', 'boolean'].includes(typeof value))
    .map(([key, value]) => `${key} ${shorten(String(value))}`)
    .join(', ');
}

/** Shows one step; progress redraws the status line. */
export function showEvent(output: Output, event: JobEventDocument, startMs: number): void {
  if (event.kind === 'progress') {
    const share = Number(event.data['share'] ?? 0);
    const note = typeof event.data['note'] === 'string' ? event.data['note'] : '';
    output.status(`${bar(share)} ${Math.round(share * 100)} % ${note}`);
    return;
  }
  const at = `${((Date.parse(event.time) - startMs) / 1000).toFixed(2)} s`.padStart(9);
  output.line(`${output.style('dim', at)}  ${event.kind.padEnd(10)} ${words(event)}`.trimEnd());
}

export function orderLines(order: OrderDocument, names: ReadonlyMap<string, string>): string[] {
  const provider =
    order.provider === undefined ? '–' : (names.get(order.provider) ?? order.provider);
  const rows = [
    ['order', order.id],
    ['name', order.name],
    ['status', order.status + (order.reason ? `: ${order.reason.text}` : '')],
    ['tier', order.tier],
    ['provider', provider],
    ['exit', order.exit ?? '–'],
    ['result', order.result ?? '–'],
    ['price', `${money(order.charge)} of at most ${money(order.priceCap)}`],
    ['paid', `${money(order.chain.paid)}, given back ${money(order.chain.refunded)}`],
    ['log', `${order.log.length} entries, head ${shorten(order.log.head)}`],
    ['attempts', String(order.attempts)],
  ];
  if (order.usage)
    rows.push(['used', `${order.usage.cpuMs} ms CPU, ${formatDuration(order.usage.wallMs)}`]);
  return tableLines([], rows);
}

export function shownAccount(account: string): string {
  return account.startsWith('seele1') ? account : formatAccount(account);
}
