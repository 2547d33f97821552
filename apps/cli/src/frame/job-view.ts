/** How orders, quotes and events look to people. */
import { formatAmount, formatAccount } from '#libs/kernel';
import type { JobEventDocument, OrderDocument, QuoteDocument } from '#libs/sdk';
import type { Output } from './output.ts';
import { bar, formatDuration, shorten, tableLines } from './table.ts';

export function money(units: string | bigint | undefined): string {
  return units === undefined || units === '' ? '–' : formatAmount(BigInt(units));
}

export function quoteLines(quote: QuoteDocument): string[] {
  const rows = quote.options.map((option) => [
    option.cell,
    `${option.free} of ${option.providers}`,
    option.isolation,
    money(option.expectedPrice),
    money(option.priceCap),
    formatDuration(option.startMs),
    finishText(option),
    riskText(option),
  ]);
  const head = ['cell', 'free', 'isolation', 'expected', 'at most', 'start', 'done after', 'risk'];
  const lines =
    rows.length > 0
      ? tableLines(head, rows, ['left', 'left', 'left', 'right', 'right', 'right', 'left', 'left'])
      : [];
  const why = quote.reasons.map(({ providers, text }) => `  ${providers} not: ${text}`);
  const binds =
    rows.length > 0 ? [`binds until ${quote.validUntil}: quote ${shorten(quote.id)}`] : [];
  return [...lines, ...why, ...binds];
}

type QuoteOptionDocument = QuoteDocument['options'][number];

const finishText = ({ finishMs, isCalibrated }: QuoteOptionDocument): string =>
  `${formatDuration(finishMs.likely)} (${formatDuration(finishMs.earliest)} – ${formatDuration(finishMs.latest)}${isCalibrated ? '' : ', a guess'})`;

/** What is left of wrong results, said with what it rests on. */
const riskText = ({ risk }: QuoteOptionDocument): string =>
  `${percentText(risk.wrong)} if ${percentText(risk.colluders)} collude (${checkText(risk)})`;

function checkText({
  check,
  replicas,
  isAdaptive,
  checkChance,
}: QuoteOptionDocument['risk']): string {
  if (check === 'quorum')
    return isAdaptive
      ? `2 of up to ${replicas} agree, trusted ones alone but for 1 in ${Math.round(1 / checkChance)}; each is paid`
      : `majority of ${replicas}, each is paid`;
  if (check === 'replay')
    return `${percentText(checkChance)} run again by the market, then disputed`;
  if (check === 'validator') return 'what your validator lets pass';
  return checkChance > 0
    ? `one provider’s word, ${percentText(checkChance)} or more done again by another`
    : 'one provider’s word';
}

const percentText = (share: number): string => `${Number((100 * share).toPrecision(2))} %`;

export type AccountNames = ReadonlyMap<string, string>;

const field = (event: JobEventDocument, name: string): string => {
  const value = event.data[name];
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
};

const percent = (event: JobEventDocument): number =>
  Math.round(Number(field(event, 'share')) * 100);

/** One or more lines for a step; kinds that this build does not know show their plain fields. */
function eventWords(event: JobEventDocument, names: AccountNames): string[] {
  const get = (name: string) => field(event, name);
  const provider = () => accountName(get('provider'), names);
  switch (event.kind) {
    case 'accepted':
      return [`the market will see it through, for at most ${money(get('priceCap'))}`];
    case 'placed':
      return [`on the chain, block ${get('height')}: the money is held`];
    case 'leased':
      return [`to ${provider()} for at most ${money(get('price'))}, fence ${get('fence')}`];
    case 'bound':
      return [`to ${provider()} on the chain, block ${get('height')}`];
    case 'started':
      return [
        `first statement of your code, isolation ${get('isolation')}, Node ${get('node')}`,
        ...(get('resumed') === ''
          ? []
          : [`it goes on from save point ${shorten(get('resumed'), 12, 4)}`]),
      ];
    case 'log':
      return logLines(event);
    case 'progress':
      return [`${bar(percent(event) / 100, 16)} ${percent(event)} % ${get('note')}`];
    case 'savePoint':
      return [`${get('sizeBytes')} bytes saved, to go on from elsewhere`];
    case 'checkpoints':
      return [checkpointWords(event)];
    case 'finished':
      return [`${get('exit')} ${get('error') || `result ${shorten(get('result'), 12, 4)}`}`];
    case 'delivered':
      return [`checked and accepted: ${get('exit')}, charge ${money(get('charge'))}`];
    case 'settled':
      return [
        `block ${get('height')}: ${money(get('paid'))} to ${provider()}, ${money(get('refunded'))} back to you`,
      ];
    case 'refunded':
      return [`block ${get('height')}: ${money(get('refunded'))} back to you (${get('how')})`];
    case 'input':
      return [
        `${get('name')} is there: ${get('sizeBytes')} bytes of order ${shorten(get('order'))}`,
      ];
    case 'units-leased':
      return [`batch ${get('fence')}: ${unitsWords(event)} to ${provider()}`];
    case 'units-delivered':
      return [`batch ${get('fence')}: ${unitsWords(event)} done, charge ${money(get('charge'))}`];
    case 'units-lost':
      return [`batch ${get('fence')}: ${unitsWords(event)} not done: ${get('reason')}`];
    case 'units-given-up':
      return [`${unitsWords(event)}: ${get('reason')}`];
    case 'units-settled':
      return [
        `batch ${get('fence')}, block ${get('height')}: ${money(get('paid'))} to ${provider()}`,
      ];
    case 'paused':
      return [get('reason')];
    case 'lost':
      return [`${provider()} gave no result: ${get('reason')}`];
    case 'failed':
    case 'cancelled':
    case 'rejected':
    case 'retried':
      return [get('reason')];
    default:
      return [plainFields(event)];
  }
}

function unitsWords({ data }: JobEventDocument): string {
  const units = Array.isArray(data['units']) ? (data['units'] as { count?: number }[]) : [];
  const count = units.reduce((sum, range) => sum + (range.count ?? 0), 0);
  return `${count} ${count === 1 ? 'task' : 'tasks'}`;
}

function logLines(event: JobEventDocument): string[] {
  const { lines } = event.data;
  if (!Array.isArray(lines)) return [''];
  return lines.map((line: { level?: string; text?: string }) =>
    line.level === undefined || line.level === 'info'
      ? String(line.text)
      : `${line.level}: ${line.text}`,
  );
}

function checkpointWords({ data }: JobEventDocument): string {
  const items = Array.isArray(data['items']) ? (data['items'] as { fuel?: unknown }[]) : [];
  const first = Number(data['first']);
  return `${first + 1} to ${first + items.length}, at ${String(items.at(-1)?.fuel)} fuel`;
}

function plainFields(event: JobEventDocument): string {
  return Object.entries(event.data)
    .filter(([, value]) => ['string', 'number', 'boolean'].includes(typeof value))
    .map(([key, value]) => `${key} ${shorten(String(value))}`)
    .join(', ');
}

/** Shows one step; in a terminal progress redraws the status line. */
export function showEvent(
  output: Output,
  event: JobEventDocument,
  startMs: number,
  names: AccountNames = new Map(),
): void {
  const lines = eventWords(event, names);
  if (event.kind === 'progress' && event.seq === undefined) return output.status(lines[0] ?? '');
  const seconds = Math.max(0, Date.parse(event.time) - startMs) / 1000;
  const at = output.style('dim', `${seconds.toFixed(2)} s`.padStart(8));
  for (const line of lines) output.line(`${at}  ${event.kind.padEnd(9)} ${line}`.trimEnd());
}

/** The name this home has for an account, else its beginning. */
export function accountName(account: string, names: AccountNames): string {
  if (account === '') return '–';
  const address = shownAccount(account);
  return names.get(address)?.replace(/^provider-/, '') ?? shorten(address, 12, 4);
}

export function orderLines(order: OrderDocument, names: AccountNames): string[] {
  const rows = [
    ['order', order.id],
    ['name', order.name],
    ['status', order.status + (order.reason ? `: ${order.reason.text}` : '')],
    ['kind', order.kind],
    ['tier', order.tier],
    ['provider', accountName(order.provider ?? '', names)],
    ['exit', order.exit ?? '–'],
    ['result', order.result ?? '–'],
    ['price', `${money(order.charge)} of at most ${money(order.priceCap)}`],
    ['paid', `${money(order.chain.paid)}, given back ${money(order.chain.refunded)}`],
    ['log', `${order.log.length} entries, head ${shorten(order.log.head)}`],
    ['attempts', String(order.attempts)],
  ];
  if (order.array) rows.push(...arrayRows(order.array));
  if (order.metered) {
    const { fuel, checkpoints, engine } = order.metered;
    rows.push(['fuel', `${fuel}, ${checkpoints} checkpoints, engine ${shorten(engine)}`]);
  }
  if (order.usage)
    rows.push(['used', `${order.usage.cpuMs} ms CPU, ${formatDuration(order.usage.wallMs)}`]);
  return tableLines([], rows);
}

function arrayRows(array: NonNullable<OrderDocument['array']>): string[][] {
  const { tasks, done, failed, pending, openBatches, givenUp, unitPrice } = array;
  const inWork = Math.max(0, tasks - done - failed - pending);
  const rows = [
    [
      'tasks',
      `${done} of ${tasks} done, ${inWork} in work, ${pending} waiting, ${failed} given up`,
    ],
    ['each', `at most ${money(unitPrice)}; ${openBatches} batches not settled yet`],
  ];
  const ranges = givenUp
    .slice(0, RANGES_SHOWN)
    .map(({ from, count }) => (count === 1 ? `${from}` : `${from}–${from + count - 1}`));
  if (ranges.length > 0) rows.push(['given up', ranges.join(', ')]);
  return rows;
}

const RANGES_SHOWN = 12;

export function shownAccount(account: string): string {
  return account.startsWith('seele1') ? account : formatAccount(account);
}
