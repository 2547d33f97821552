/** The buying half of the quickstart: deposit, data, quote, order, live events, result, price. */
import { join } from 'node:path';
import { TOKEN, formatAmount, parseAccount } from '#libs/kernel';
import { TIERS, type Tier } from '#libs/market';
import {
  type MarketClient,
  type OrderDocument,
  type QuoteDocument,
  createMarketClient,
  signOrder,
} from '#libs/sdk';
import { cliError } from '../errors.ts';
import type { CommandContext } from '../frame/command.ts';
import { accountNames, connectStorage, serviceUrl, signerOf } from '../frame/connect.ts';
import { readUserFile } from '../frame/files.ts';
import { followOrder } from '../frame/follow.ts';
import { prepareJob } from '../frame/job-input.ts';
import { accountName, money } from '../frame/job-view.ts';
import { bar, formatBytes, formatDuration, shorten, tableLines } from '../frame/table.ts';
import { deposit } from '../commands/account.ts';
import { DEFAULT_ACCOUNT } from '../supervisor/processes.ts';
import type { Steps } from './steps.ts';

const root = join(import.meta.dirname, '../../../../..');
const CODE = join(root, 'examples/weather/monthly.js');
const DATA = join(root, 'node_modules/vega-datasets/data/seattle-weather.csv');
const DEPOSIT = 5n * TOKEN;
const TIER: Tier = 'A';
/** Steps that a newcomer need not see; `seele job follow` shows them. */
const CHAIN_STEPS: ReadonlySet<string> = new Set(['placed', 'bound', 'delivered']);

interface MonthRow {
  readonly month: string;
  readonly meanHigh: number;
  readonly meanLow: number;
  readonly rainPerDay: number;
  readonly wetDays: number;
}

export interface Bought {
  readonly market: MarketClient;
  readonly order: OrderDocument;
  readonly document: object;
}

function jobOptions(data: string, tier: Tier) {
  return {
    in: [`weather=${data}`],
    param: [],
    tier,
    name: 'Seattle weather by month',
    wall: '30',
    memory: '128',
    minIsolation: 'S0',
    from: DEFAULT_ACCOUNT,
  };
}

async function quoteEveryTier(
  context: CommandContext,
  market: MarketClient,
  dataCid: string,
): Promise<ReadonlyMap<Tier, QuoteDocument>> {
  const store = connectStorage(context);
  const quotes = new Map<Tier, QuoteDocument>();
  for (const tier of TIERS) {
    const { manifest } = await prepareJob(store, CODE, jobOptions(dataCid, tier));
    quotes.set(tier, await market.quote(manifest));
  }
  return quotes;
}

const tierWords: Readonly<Record<Tier, string>> = { A: 'cheap', B: 'fast', C: 'safe' };

function showQuotes(steps: Steps, quotes: ReadonlyMap<Tier, QuoteDocument>): void {
  const rows = [...quotes].map(([tier, { options, reasons }]) => {
    const [best] = options;
    const [why] = reasons;
    if (!best)
      return [`${tier} ${tierWords[tier]}`, why ? `${why.providers} ${why.text}` : 'nobody'];
    const price = `${money(best.expectedPrice)} (at most ${money(best.priceCap)})`;
    return [
      `${tier} ${tierWords[tier]}`,
      best.name,
      best.cell,
      price,
      `~${formatDuration(best.finishMs.likely)}`,
    ];
  });
  for (const line of tableLines([], rows)) steps.detail(line);
}

/** Half a year beside the other half, so that everything stays on one screen. */
function showResult(steps: Steps, months: readonly MonthRow[]): void {
  const rainMax = Math.max(...months.map(({ rainPerDay }) => rainPerDay));
  const cells = (row: MonthRow | undefined): string[] =>
    row === undefined
      ? []
      : [
          row.month,
          row.meanLow.toFixed(1),
          row.meanHigh.toFixed(1),
          `${row.wetDays} %`,
          row.rainPerDay.toFixed(1),
          bar(row.rainPerDay / rainMax, 8).replaceAll('░', ' '),
        ];
  const half = Math.ceil(months.length / 2);
  const rows = months.slice(0, half).map((row, i) => [...cells(row), ...cells(months[half + i])]);
  const head = ['month', 'low °C', 'high', 'wet', 'mm/day', ''];
  const aligned = ['left', 'right', 'right', 'right', 'right', 'left'] as const;
  for (const line of tableLines([...head, ...head], rows, [...aligned, ...aligned]))
    steps.detail(line);
}

/** Refuses everything but an order that ended well. */
function demandSettled(order: OrderDocument): void {
  if (order.status === 'settled' && order.exit === 'ok') return;
  const why = order.reason?.text ?? order.exit ?? 'no reason given';
  throw cliError('CLI_JOB_FAILED', `the job is ${order.status} (${why})`);
}

export async function buyAndRun(
  context: CommandContext,
  steps: Steps,
  timeoutMs: number,
): Promise<Bought> {
  const { home } = context;
  const signer = signerOf(home, DEFAULT_ACCOUNT);
  const market = createMarketClient({ url: serviceUrl(context, 'market'), signer });

  await steps.run('Pay 5 tokens in advance', async (say) => {
    const { height } = await deposit(context, DEFAULT_ACCOUNT, DEPOSIT);
    say(`final in block ${height}`);
  });
  const data = await steps.run('Store real data: daily weather in Seattle', async (say) => {
    const blob = await connectStorage(context).put(readUserFile(DATA));
    say(`${formatBytes(blob.sizeBytes)}, ${shorten(blob.cid, 12, 4)}`);
    return blob;
  });
  const quotes = await steps.run('Ask what monthly statistics would cost', (say) => {
    say('three tiers:');
    return quoteEveryTier(context, market, data.cid);
  });
  showQuotes(steps, quotes);
  const best = quotes.get(TIER)?.options[0];
  if (!best) throw cliError('CLI_CHECK_FAILED', 'no provider can take the job');

  const { order, events } = await steps.run('Sign the order (tier A), follow it', async (say) => {
    const store = connectStorage(context);
    const { manifest, manifestCid } = await prepareJob(store, CODE, jobOptions(data.cid, TIER));
    const status = await market.status();
    const { id, signed } = signOrder(signer, {
      chain: status.chain,
      market: parseAccount(status.market),
      manifest: manifestCid,
      priceCap: BigInt(best.priceCap),
      nowUs: Date.now() * 1000,
    });
    await market.submit(signed, manifest);
    say(`job ${id.slice(0, 12)}`);
    return followOrder(context, market, id, timeoutMs, CHAIN_STEPS);
  });
  demandSettled(order);
  const result = JSON.parse(new TextDecoder().decode(await market.result(order.id))) as {
    readonly months: readonly MonthRow[];
  };
  showResult(steps, result.months);

  const paidTo = accountName(order.provider ?? '', accountNames(home));
  steps.detail(
    `Paid ${money(order.chain.paid)} to provider "${paidTo}"; ${money(order.chain.refunded)} of the ` +
      `${formatAmount(BigInt(order.priceCap))} held came back`,
  );
  return {
    market,
    order,
    document: { order, quotes: Object.fromEntries(quotes), events, result },
  };
}
