/** Taking orders on: one by itself, or several that read each other's results. */
import { type ArrayTerms, type SignedOrder, orderId, unitSetOf } from '#contracts';
import { LOG_START, MARKET_ENTRIES } from '#libs/audit';
import { type Admitted, checkOrder } from './admission.ts';
import { NO_FAILURES } from './arrays/batches.ts';
import { noteBalance } from './arrays/funds.ts';
import { enqueueBatches } from './arrays/messages.ts';
import { firstReplicas } from './arrays/task-answers.ts';
import { enqueueBinding } from './binding.ts';
import { pursueChain } from './chain-steps.ts';
import { GRAPH_ORDERS_MAX, nothingAhead } from './graph/admission.ts';
import { indexSources } from './graph/followers.ts';
import { logStep } from './job-log.ts';
import type { BalanceRead, MarketEvent, Submission } from './model/events.ts';
import type { Reply } from './model/effects.ts';
import { type ArrayProgress, type OrderRow, ROW_VERSION } from './model/rows.ts';
import { type Step, emit, indexOpen } from './state.ts';
import { viewOf } from './views.ts';

const MS = 1000;

export function submitOrder(
  step: Step,
  event: Extract<MarketEvent, { kind: 'submitOrder' }>,
): void {
  const taken = takeOrders(step, [event], event.balance);
  const { request } = event;
  if ('is' in taken) {
    const { at: _, ...reply } = taken;
    return emit(step, { kind: 'reply', request, reply });
  }
  const [row] = taken.rows as [OrderRow];
  const { repeated } = taken;
  emit(step, { kind: 'reply', request, reply: { is: 'order', view: viewOf(row), repeated } });
}

export function submitGraph(
  step: Step,
  { request, orders, balance }: Extract<MarketEvent, { kind: 'submitGraph' }>,
): void {
  const taken = takeOrders(step, orders, balance);
  const reply: Reply =
    'is' in taken
      ? taken
      : { is: 'orders', views: taken.rows.map(viewOf), repeated: taken.repeated };
  emit(step, { kind: 'reply', request, reply });
}

interface Taken {
  readonly rows: readonly OrderRow[];
  /** All were there already. */
  readonly repeated: boolean;
}

/**
 * All or none. An order that is known is what became of it, whatever that is: the answer may have been
 * lost, and whoever sends the whole graph again orders nothing twice.
 */
function takeOrders(
  step: Step,
  orders: readonly Submission[],
  balance: BalanceRead,
): Taken | Extract<Reply, { is: 'refused' }> {
  const { market } = step;
  const ahead = nothingAhead();
  const fresh = new Map<string, { readonly submission: Submission; readonly admitted: Admitted }>();
  const { consumer } = orders[0]?.order.order ?? {};
  const limit =
    orders.length === 0 || orders.length > GRAPH_ORDERS_MAX
      ? `${orders.length} orders, 1 to ${GRAPH_ORDERS_MAX} are taken at once`
      : undefined;
  if (limit !== undefined) return { is: 'refused', code: 'MARKET_GRAPH_LIMIT', message: limit };
  for (const [at, submission] of orders.entries()) {
    const { order } = submission.order;
    const id = orderId(order);
    if (market.orders.has(id) || fresh.has(id)) continue;
    if (order.consumer !== consumer) {
      const message = 'orders that are submitted together are of one account';
      return { is: 'refused', code: 'MARKET_INPUT_FOREIGN', message, at };
    }
    const admitted = checkOrder(step, id, submission, balance, ahead);
    if ('code' in admitted) return { is: 'refused', ...admitted, at };
    fresh.set(id, { submission, admitted });
  }
  if (consumer !== undefined && fresh.size > 0) noteBalance(market, consumer, balance);
  for (const [id, { submission, admitted }] of fresh)
    createOrder(step, id, submission.order, admitted);
  const ids = orders.map(({ order }) => orderId(order.order));
  const rows = ids.map((id) => market.orders.get(id) as OrderRow);
  return { rows, repeated: fresh.size === 0 };
}

/**
 * @param audits what an order of the market's own has beside
 * @param tasks only these of many are to be done
 */
export function createOrder(
  step: Step,
  id: string,
  signed: SignedOrder,
  { inGraph: { sources, depth }, ...wanted }: Admitted,
  audits: Pick<OrderRow, 'auditOf' | 'auditFence' | 'avoid' | 'topUp'> = {},
  tasks?: readonly number[],
): void {
  const { market, now } = step;
  const isBlocked = sources.length > 0;
  const work = signed.order.array ? 'running' : 'queued';
  const row: OrderRow = {
    version: ROW_VERSION,
    id,
    signed,
    ...wanted,
    ...audits,
    acceptedAtUs: now.timeUs,
    work: isBlocked ? 'blocked' : work,
    ...(isBlocked && { sources: [...sources], depth }),
    ...(signed.order.array && {
      array: onlyTasks(
        newArray(signed.order.array, wanted.needs.replicas?.isAdaptive === true),
        tasks,
      ),
    }),
    faults: 0,
    fence: 0,
    binding: 0,
    tried: [],
    log: { length: 0, head: LOG_START },
    owed: [],
    checkpointed: 0,
    chain: { state: 'none', height: 0, placedHeight: 0, fence: 0, paid: 0n, refunded: 0n },
    sentToChain: 'no',
  };
  market.orders.set(id, row);
  step.dirtyOrders.add(id);
  indexOpen(market, row, true);
  indexSources(market, row, true);
  const { consumer, manifest, priceCap, completeByUs } = signed.order;
  logStep(step, id, 'accepted', MARKET_ENTRIES.accepted, {
    consumer,
    manifest,
    priceCap,
    completeByUs,
  });
  armDeadlines(step, row);
  // What it reads may be there already.
  if (isBlocked) market.deadlines.set(`inputs/${id}`, now.monotonicMs);
  else if (row.array) enqueueBatches(step, id);
  else enqueueBinding(step, id);
  pursueChain(step, id);
}

function newArray({ tasks, replicas, unitPrice }: ArrayTerms, isAdaptive: boolean): ArrayProgress {
  const terms = { replicas, ...(isAdaptive && { isAdaptive }) };
  return {
    ...{ tasks, ...terms, unitPrice, done: 0, failed: 0, notOk: 0 },
    ...{ charged: 0n, given: [], open: [] },
    // With replicas all units come from groups, so that no provider gets two of one task.
    ...{ next: replicas > 1 ? tasks : 0, again: firstReplicas(tasks, terms) },
  };
}

/** The other tasks count as given up from the beginning. */
function onlyTasks(array: ArrayProgress, tasks: readonly number[] | undefined): ArrayProgress {
  if (!tasks) return array;
  const units = unitSetOf(tasks);
  let next = 0;
  const given = [...units, { from: array.tasks, count: 0 }].flatMap(({ from, count }) => {
    const gap = { from: next, count: from - next };
    next = from + count;
    return gap.count > 0 ? [gap] : [];
  });
  const again = [{ units, ...NO_FAILURES }];
  return { ...array, next: array.tasks, again, failed: array.tasks - tasks.length, given };
}

/** Sets the timers by which an order ends even if nothing else happens. */
export function armDeadlines(step: Step, row: OrderRow): void {
  const { now, market } = step;
  const dueMs = (timeUs: number): number => now.monotonicMs + (timeUs - now.timeUs) / MS + 1;
  market.deadlines.set(`complete/${row.id}`, dueMs(row.signed.order.completeByUs));
  market.deadlines.set(`placeBy/${row.id}`, dueMs(row.signed.order.placeByUs));
}
