/** Puts a market together from its parts and starts it; main.ts chooses the parts. */
import { disputesSettings } from '#contracts';
import { type Signer, verifySignature } from '#libs/crypto';
import type { Clock, Randomness } from '#libs/kernel';
import {
  DEFAULT_MARKET_CAPS,
  DEFAULT_MARKET_TIMES,
  type MarketCaps,
  type MarketEvent,
  type MarketTimes,
  type StoredRow,
  type TenantTerms,
  applyEvent,
  arrayStatus,
  cellOf,
  marketStatus,
  nextTickMs,
  restoreMarket,
} from '#libs/market';
import {
  type DisputeKeeper,
  type Health,
  type Logger,
  type Metrics,
  type NodeClient,
  type RunningService,
  createHttpApp,
  createRequestVerifier,
  listenHttp,
  startDisputeKeeper,
} from '#libs/platform';
import type { BlobStore } from '#libs/storage';
import { AgentGateway, type GatewayLimits } from './agents/agent-gateway.ts';
import { ChainLink } from './chain/chain-link.ts';
import { type Catalogue, noCatalogue } from './catalogue/catalogue.ts';
import type { ChainNode } from './chain/chain-node.ts';
import { createJobChecker } from './checks/job-checker.ts';
import { createEffectPerformer } from './effect-performer.ts';
import { MarketModule } from './http/market-module.ts';
import { serveOpenApi } from './http/openapi.ts';
import { createJobEventHub } from './jobs/job-event-hub.ts';
import { createResultChecker } from './jobs/result-checker.ts';
import { MarketLoop } from './market-loop.ts';
import { MarketService, findOrder, logAfter } from './market-service.ts';
import type { QueuePort } from './queue/queue-port.ts';
import { createReceiptMaker } from './receipts/receipt-maker.ts';
import { readLeaves } from './store/read-leaves.ts';
import { type RowStore, openRowStore } from './store/row-store.ts';
import { DEFAULT_TARGET_POLICY, type TargetPolicy } from './webhooks/address-guard.ts';
import { createThreadedSender } from './webhooks/sender-thread.ts';
import type { Sender } from './webhooks/sender.ts';
import { openWebhookStore } from './webhooks/webhook-store.ts';
import {
  DEFAULT_WEBHOOK_CAPS,
  DEFAULT_WEBHOOK_TIMES,
  type WebhookCaps,
  type WebhookTimes,
} from './webhooks/webhook.ts';
import { type RunningWebhooks, openWebhooks } from './webhooks/webhooks.ts';

export interface MarketParts {
  readonly name: string;
  readonly chain: string;
  readonly signer: Signer;
  readonly node: ChainNode;
  readonly blobs: BlobStore;
  readonly queue: QueuePort;
  readonly databaseUrl: string;
  readonly clock: Clock;
  readonly randomness: Randomness;
  readonly logger: Logger;
  readonly health: Health;
  readonly metrics: Metrics;
  readonly host: string;
  readonly port: number;
  readonly publicUrl?: string | undefined;
  readonly trustProxy?: boolean;
  readonly requestsPerSecond: number;
  readonly bodyLimitBytes: number;
  readonly times?: Partial<MarketTimes>;
  readonly caps?: Partial<MarketCaps>;
  readonly agentLimits?: Partial<GatewayLimits>;
  readonly fuelPrice: bigint;
  /** Share of metered results that are run again. */
  readonly replayShare?: number;
  /** Least share of one provider's results that another does again. */
  readonly auditShare?: number;
  /** Plays the market's part in disputes it opened, by the node's full interface. */
  readonly disputes?: Pick<NodeClient, 'state' | 'scan'>;
  readonly disputesEveryMs?: number;
  /** Ended with the market; without one, its routes say that there is none. */
  readonly catalogue?: Catalogue;
  readonly tenants?: readonly TenantTerms[] | undefined;
  readonly webhooks?: {
    readonly policy?: TargetPolicy;
    readonly caps?: Partial<WebhookCaps>;
    readonly times?: Partial<WebhookTimes>;
    /** Instead of one on a thread of its own. */
    readonly sender?: Sender;
  };
  /** The process must end: memory is ahead of the disk, or the disk cannot be reached. */
  readonly onFatal: (error: unknown, why: string) => void;
}

/** Enough for any single call of the market; what is not used is not paid. */
const FUEL_LIMIT = 20_000_000n;
const US_PER_MS = 1000;
const BURST_FACTOR = 4;
const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|::1)$/;

async function restoredRows(
  rows: RowStore,
  clock: Clock,
  times: MarketTimes,
): Promise<readonly StoredRow[]> {
  const recentUs = clock.nowUs() - (times.placeByMaxMs + times.keepEndedMs) * US_PER_MS;
  const [orders, units, meta, providers, transactions, learned] = await Promise.all([
    rows.readOpenOrders(recentUs),
    rows.readOpenUnits(recentUs),
    rows.read('meta'),
    rows.read('provider'),
    rows.read('transaction'),
    rows.read('learned'),
  ]);
  return [...meta, ...providers, ...orders, ...units, ...transactions, ...learned];
}

/** What a lost dispute takes of a bond on this chain. */
async function slashedPerMille({ node }: MarketParts): Promise<bigint> {
  const { parameters } = await node.genesis();
  const name = 'disputes.slashedPerMille';
  const isIt = (setting: { readonly name: string }): boolean => setting.name === name;
  const found = parameters.settings.find(isIt) ?? disputesSettings.defaults.find(isIt);
  return found?.value ?? 0n;
}

async function openMarket(parts: MarketParts) {
  const { chain, signer, clock, onFatal } = parts;
  const times = { ...DEFAULT_MARKET_TIMES, ...parts.times };
  const rows = await openRowStore({
    url: parts.databaseUrl,
    logger: parts.logger,
    identity: `market ${signer.account} on chain ${chain}`,
    onLost: (error) => onFatal(error, 'the database connection is lost'),
  });
  const market = restoreMarket(
    {
      chain,
      signer,
      verify: verifySignature,
      times,
      caps: { ...DEFAULT_MARKET_CAPS, ...parts.caps },
      fuelLimit: FUEL_LIMIT,
      fuelPrice: parts.fuelPrice,
      slashedPerMille: await slashedPerMille(parts),
      ...(parts.replayShare !== undefined && { replayShare: parts.replayShare }),
      ...(parts.auditShare !== undefined && { auditShare: parts.auditShare }),
      ...(parts.tenants && { tenants: parts.tenants }),
    },
    await restoredRows(rows, clock, times),
  );
  return { rows, market };
}

/** Set going again what the rows know; without rows, what the chain knows up to now. */
async function resumption({ node, logger }: MarketParts, rows: RowStore): Promise<MarketEvent> {
  const isNew = (await rows.read('meta')).length === 0;
  const { height } = isNew ? await node.status() : { height: 0 };
  if (height === 0) return { kind: 'resume' };
  logger.warn({ height }, 'no rows: orders are taken over from the chain up to this height');
  return { kind: 'resume', rebuildTo: height };
}

function observeMarket(metrics: Metrics, market: Parameters<typeof marketStatus>[0]): void {
  const gauge = (key: keyof ReturnType<typeof marketStatus>, name: string, help: string): void => {
    metrics.gauge(name, help, () => Number(marketStatus(market)[key]));
  };
  const quotes = () => marketStatus(market).quotes;
  metrics.gauge(
    'seele_market_quotes_ended',
    'Orders with a quote that ended',
    () => quotes().ended,
  );
  metrics.gauge(
    'seele_market_quotes_kept',
    'Of those, charged and finished as quoted',
    () => quotes().kept,
  );
  gauge('openOrders', 'seele_market_orders_open', 'Orders that have not ended');
  gauge('waiting', 'seele_market_orders_waiting', 'Orders waiting for a free slot');
  gauge('leases', 'seele_market_leases', 'Live leases');
  gauge('transactions', 'seele_market_transactions', 'Own transactions under way');
  gauge('height', 'seele_market_chain_height', 'Last block taken in');
  const arrays = [
    ['orders', 'orders', 'Orders of many tasks that have not ended'],
    ['paused', 'orders_paused', 'Of those, paused for want of money'],
    ['unitsPending', 'units_pending', 'Their tasks that nobody has'],
    ['batchesOut', 'batches_out', 'Batches that providers have, or whose results are looked at'],
    ['batchesUnsettled', 'batches_unsettled', 'Batches that the chain has not settled'],
  ] as const;
  for (const [key, name, help] of arrays)
    metrics.gauge(`seele_market_array_${name}`, help, () => arrayStatus(market)[key]);
}

/** Webhooks on the market's rows; they begin to send when they are started. */
function webhooksOf(parts: MarketParts, { rows, market }: Opened): Promise<RunningWebhooks> {
  const { chain, signer, clock, logger, metrics } = parts;
  const { policy = DEFAULT_TARGET_POLICY, caps, times, sender } = parts.webhooks ?? {};
  const allCaps = { ...DEFAULT_WEBHOOK_CAPS, ...caps };
  return openWebhooks({
    store: openWebhookStore(parts.databaseUrl, logger),
    sender: sender ?? createThreadedSender({ policy, logger }),
    source: { signer, chain, bodyBytesMax: allCaps.bodyBytes },
    caps: allCaps,
    times: { ...DEFAULT_WEBHOOK_TIMES, ...times },
    logAfter: (order, seq) => logAfter(rows, order, seq),
    orderView: (id) => findOrder(market, rows, id),
    consumerOf: (order) => market.orders.get(order)?.signed.order.consumer,
    nowUs: () => clock.nowUs(),
    random: () => Math.random(),
    ...{ policy, logger, metrics },
  });
}

type Opened = Awaited<ReturnType<typeof openMarket>>;

function createLoop(parts: MarketParts, opened: Opened, { outbox }: RunningWebhooks) {
  const { clock, randomness, logger, metrics } = parts;
  const { market, rows } = opened;
  const hub = createJobEventHub();
  const now = () => ({ timeUs: clock.nowUs(), monotonicMs: clock.monotonicMs() });
  const loop: MarketLoop = new MarketLoop({
    rows,
    metrics,
    outbox,
    machine: {
      apply: (event) => applyEvent(market, event, now(), randomness),
      nextTickMs: () => nextTickMs(market),
    },
    monotonicMs: () => clock.monotonicMs(),
    perform: (effect) => performer.perform(effect),
    onFatal: (error, why) => parts.onFatal(error, why),
  });
  const dispatch = (event: MarketEvent): void => {
    if (event.kind === 'agentHello') performer.openCell(cellOf(event.offer));
    loop.dispatch(event);
  };
  const link = new ChainLink({ node: parts.node, signer: parts.signer, dispatch, logger });
  const gateway = new AgentGateway({
    chain: parts.chain,
    market: parts.signer.account,
    verify: verifySignature,
    dispatch,
    randomness,
    logger,
    metrics,
    ...(parts.agentLimits && { limits: parts.agentLimits }),
  });
  const checks = createJobChecker({ blobs: parts.blobs, logger, dispatch });
  const results = createResultChecker({ blobs: parts.blobs, logger, dispatch });
  const performer = createEffectPerformer({
    queue: parts.queue,
    gateway,
    chain: link,
    checks,
    results,
    hub,
    readLeaves: (order, fence) => void readLeaves({ rows, logger, dispatch }, order, fence),
    bindingDue: (order, binding) => loop.request({ kind: 'bindingDue', order, binding }),
    logger,
  });
  const queues = [
    ['checks_waiting', 'Results to be looked at', () => results.waiting],
    ['replays_waiting', 'Results to be run again or validated', () => checks.waiting],
    ['transactions_waiting', 'Transactions to be posted', () => link.waiting],
    ['followers', 'Open event streams', () => hub.followers],
  ] as const;
  for (const [name, help, read] of queues) metrics.gauge(`seele_market_${name}`, help, read);
  return { hub, loop, link, gateway, checks, dispatch };
}

const DISPUTES_EVERY_MS = 2_000;

/** Moves in disputes go through the lane of the market's own transactions. */
function keepDisputes(
  { disputes, signer, blobs, logger, clock, disputesEveryMs }: MarketParts,
  market: Awaited<ReturnType<typeof openMarket>>['market'],
  dispatch: (event: MarketEvent) => void,
): DisputeKeeper | undefined {
  if (!disputes) return undefined;
  const hasOpened = () => [...market.orders.values()].some(({ replay }) => replay?.isOpened);
  return startDisputeKeeper({
    ...{ node: disputes, signer, blobs, logger, clock },
    everyMs: disputesEveryMs ?? DISPUTES_EVERY_MS,
    isChallenger: hasOpened,
    submit: (key, { method, args }) => {
      if (method === 'show' || method === 'timeout')
        dispatch({ kind: 'disputeMove', call: { kind: 'move', key, method, args } });
      return Promise.resolve();
    },
  });
}

/** Restores the market from its rows, sets everything unfinished going and serves. */
export async function startMarket(parts: MarketParts): Promise<RunningService> {
  const { logger, health, metrics, clock } = parts;
  const opened = await openMarket(parts);
  const { market, rows } = opened;
  const webhooks = await webhooksOf(parts, opened);
  const { hub, loop, link, gateway, checks, dispatch } = createLoop(parts, opened, webhooks);
  const keeper = keepDisputes(parts, market, dispatch);
  observeMarket(metrics, market);
  health.add('database', () => rows.ping());
  health.add('queue', () => parts.queue.ping());
  health.add('chain', () => parts.node.status().then(() => undefined));
  health.add('orders', () => {
    const { height, rebuildTo } = marketStatus(market);
    if (rebuildTo !== undefined)
      throw new Error(`being rebuilt from the chain: block ${height} of ${rebuildTo}`);
  });
  const { name, node, blobs } = parts;
  const receipts = createReceiptMaker({ market, rows, node, blobs });
  const isPrivate = parts.publicUrl !== undefined || !LOOPBACK.test(parts.host);
  const service = new MarketService({
    ...{ name, market, loop, rows, node, blobs, hub, receipts, isPrivate, clock },
  });
  const verify = createRequestVerifier({ clock, publicUrl: parts.publicUrl, metrics });
  const catalogue = parts.catalogue ?? noCatalogue();
  metrics.gauge('seele_market_catalogue_questions', 'Questions not yet answered', () =>
    catalogue.waiting(),
  );
  const app = await createHttpApp({
    module: MarketModule.over(service, verify, catalogue, webhooks.api),
    logger,
    health,
    metrics,
    bodyLimitBytes: parts.bodyLimitBytes,
    rateLimit: {
      perSecond: parts.requestsPerSecond,
      burst: parts.requestsPerSecond * BURST_FACTOR,
    },
    trustProxy: parts.trustProxy ?? false,
  });
  serveOpenApi(app);
  gateway.attach(app.getHttpServer());
  loop.dispatch(await resumption(parts, rows));
  const url = await listenHttp(app, parts);
  webhooks.start();
  logger.info({ url, orders: marketStatus(market).openOrders }, 'market serves');
  return {
    url,
    stop: async () => {
      health.stopping();
      hub.close();
      gateway.stop();
      keeper?.stop();
      checks.stop();
      link.stop();
      await app.close();
      await catalogue.stop();
      await parts.queue.close();
      await loop.stop();
      await webhooks.stop();
      await rows.close();
      await blobs.close();
    },
  };
}
