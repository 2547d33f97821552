/**
 * Orders the jobs of a file: all in one submission, which the market takes as a whole or not at all. From
 * then on the market runs the graph; what was ordered stands in the home before the market hears of it.
 */
import { randomBytes } from 'node:crypto';
import { hasCode, parseAccount } from '#libs/kernel';
import { type Manifest, encodeManifest, manifestCid } from '#libs/market';
import type { Signer } from '#libs/crypto';
import { type MarketClient, type OrderDocument, signOrder } from '#libs/sdk';
import type { BlobStore } from '#libs/storage';
import { cliError } from '../errors.ts';
import type { PlannedJob } from './plan.ts';
import { priceOf } from './price.ts';
import type { OrderedJob, RunState } from './run-state.ts';

/** An order waits no longer than this for its block, however late it may be done. */
const PLACE_WITHIN_MS = 300_000;

export interface Ordering {
  readonly market: MarketClient;
  readonly store: BlobStore;
  readonly state: RunState;
  readonly signer: Signer;
  readonly chain: string;
  readonly marketAccount: string;
}

/** The orders of these jobs, in their order: those that were made before, else new ones. */
export async function orderAll(
  ordering: Ordering,
  plans: readonly PlannedJob[],
): Promise<readonly OrderDocument[]> {
  const { market, state } = ordering;
  const before = plans.map(({ name }) => state.ordered(name));
  const made = before.flatMap((one) => one ?? []);
  if (state.isResumed && made.length === plans.length) {
    const known = await knownOrders(market, made);
    if (known) {
      state.accepted();
      return known;
    }
    if (state.isAccepted)
      throw cliError('CLI_JOB_RUN', `the market does not know order ${made[0]?.order} any more`);
    // The market never took them; as long as it still may, they are those very orders again.
    const isOpen = made.every(
      ({ nowUs, placeWithinMs }) => Date.now() < nowUs / 1000 + placeWithinMs,
    );
    if (isOpen) return submit(ordering, plans, made);
  }
  const fresh = await newOrders(ordering, plans);
  state.keep(new Map(plans.map(({ name }, i) => [name, fresh[i] as OrderedJob])));
  return submit(ordering, plans, fresh);
}

/** All of them, or undefined when the market knows none: it takes all or none. */
async function knownOrders(
  market: MarketClient,
  made: readonly OrderedJob[],
): Promise<readonly OrderDocument[] | undefined> {
  try {
    const known: OrderDocument[] = [];
    for (const { order } of made) known.push(await market.order(order));
    return known;
  } catch (error) {
    if (hasCode(error, 'MARKET_ORDER_UNKNOWN')) return undefined;
    throw error;
  }
}

async function newOrders(
  ordering: Ordering,
  plans: readonly PlannedJob[],
): Promise<readonly OrderedJob[]> {
  const ids = new Map<string, string>();
  const orders: OrderedJob[] = [];
  for (const plan of plans) {
    const manifest = plan.manifest(ids);
    const terms = await termsOf(ordering.market, plan, manifest);
    const order = signedOf(ordering, terms).id;
    ids.set(plan.name, order);
    orders.push({ ...terms, order });
  }
  return orders;
}

type Terms = Omit<OrderedJob, 'order'>;

async function termsOf(market: MarketClient, plan: PlannedJob, manifest: Manifest): Promise<Terms> {
  const quote = await market.quote(manifest);
  const { priceCap = 0n, unitPrice, problem } = priceOf(plan, manifest, quote);
  if (problem !== undefined) throw cliError('CLI_CHECK_FAILED', `job "${plan.name}": ${problem}`);
  const nowMs = Date.now();
  const withinMs = plan.completeByMs === undefined ? plan.withinMs : plan.completeByMs - nowMs;
  if (withinMs <= 0)
    throw cliError('CLI_CHECK_FAILED', `job "${plan.name}": its completeBy has passed`);
  const { array } = manifest;
  return {
    ...{ manifest: manifestCid(manifest), salt: randomBytes(16).toString('hex') },
    ...{ nowUs: nowMs * 1000, priceCap: priceCap.toString(), completeWithinMs: withinMs },
    placeWithinMs: Math.min(withinMs, PLACE_WITHIN_MS),
    quote: quote.signed,
    ...(array &&
      unitPrice !== undefined && {
        array: { tasks: array.tasks, replicas: array.replicas, unitPrice: unitPrice.toString() },
      }),
  };
}

function signedOf({ signer, chain, marketAccount }: Ordering, terms: Terms) {
  const { array, priceCap, manifest, nowUs, salt, placeWithinMs, completeWithinMs } = terms;
  return signOrder(signer, {
    ...{ chain, market: parseAccount(marketAccount), manifest, priceCap: BigInt(priceCap) },
    ...{ nowUs, salt, placeWithinMs, completeWithinMs },
    ...(array && { array: { ...array, unitPrice: BigInt(array.unitPrice) } }),
  });
}

async function submit(
  ordering: Ordering,
  plans: readonly PlannedJob[],
  orders: readonly OrderedJob[],
): Promise<readonly OrderDocument[]> {
  const { market, state, store } = ordering;
  const ids = new Map(plans.map(({ name }, i) => [name, (orders[i] as OrderedJob).order]));
  const requests = [];
  for (const [i, plan] of plans.entries()) {
    for (const upload of plan.uploads) await upload(store);
    const manifest = plan.manifest(ids);
    await store.putBlock(encodeManifest(manifest), { codec: 'dag-cbor' });
    const { quote, order, ...terms } = orders[i] as OrderedJob;
    if (plan.webhook !== undefined) await market.webhooks.add({ url: plan.webhook, order });
    const { signed } = signedOf(ordering, terms);
    requests.push({ signed, manifest, ...(quote !== undefined && { quote }) });
  }
  const taken = await market.submitGraph(requests);
  state.accepted();
  return taken;
}
