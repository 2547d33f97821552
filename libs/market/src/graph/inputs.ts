/**
 * Orders that read results of others. Such an order is `blocked`, without lease and place, until each of
 * them is done; what they came to is written into its row and its log, and only then is it handed out.
 * When one comes to nothing so does it, and its money goes back; and so do those that read it.
 */
import { MARKET_ENTRIES } from '#libs/audit';
import { enqueueBatches } from '../arrays/messages.ts';
import { enqueueBinding } from '../binding.ts';
import { failWork } from '../endings.ts';
import { logStep } from '../job-log.ts';
import type { MarketEvent } from '../model/events.ts';
import { type OrderRow, type OrderSource, UNFINISHED } from '../model/rows.ts';
import { type Step, emit, orderOf, updateOrder } from '../state.ts';

const INPUTS_MAX = 64;
const REASON_MAX = 500;

/** Looks at what an order waits for. Called again whenever one of them moves, and after a restart. */
export function inputsDue(step: Step, id: string): void {
  const { market } = step;
  const row = market.orders.get(id);
  if (!row?.sources || !UNFINISHED.has(row.work) || row.rebuilding === true) return;
  for (const source of row.sources) {
    const maker = market.orders.get(source.order);
    const problem = problemOf(row, source, maker);
    // Also of work under way: nobody can say any more that its inputs are right. Who delivered is paid.
    if (problem && row.work !== 'checking') return failWork(step, id, 'failed', problem);
  }
  if (row.work !== 'blocked') return;
  for (const source of row.sources) {
    const maker = market.orders.get(source.order);
    if (source.cid === undefined && maker?.work === 'done') takeResult(step, id, source, maker);
  }
  startWhenReady(step, id);
}

/** Why an input will never be there; undefined while it may be, or is. */
function problemOf(
  { work }: OrderRow,
  source: OrderSource,
  maker: OrderRow | undefined,
): { readonly code: string; readonly text: string } | undefined {
  const failed = (what: string) => ({
    code: 'MARKET_INPUT_FAILED',
    text: `input order ${source.order} ${what}`.slice(0, REASON_MAX).toWellFormed(),
  });
  if (!maker) {
    if (source.cid !== undefined || work !== 'blocked') return undefined;
    const text = `input order ${source.order} ended before its result was taken over`;
    return { code: 'MARKET_INPUT_LOST', text };
  }
  if (UNFINISHED.has(maker.work)) return undefined;
  if (maker.work !== 'done')
    return failed(
      `${maker.work === 'failed' ? 'failed' : `was ${maker.work}`}: ${maker.reason?.text ?? 'no reason given'}`,
    );
  if (isTakenBack(source, maker)) return failed('had what was read of it taken back');
  if (source.cid !== undefined) return undefined;
  if (maker.array)
    return maker.array.failed > 0 && source.task === undefined
      ? failed(`came without ${maker.array.failed} of its ${maker.array.tasks} tasks`)
      : undefined;
  const { exit = 'unknown', result } = maker.delivery?.delivery ?? {};
  return result === undefined ? failed(`ended as ${exit}, without a result`) : undefined;
}

/** Units that were accepted count no more; of replicas others answered the same. */
const isTakenBack = ({ result }: OrderSource, { array }: OrderRow): boolean =>
  result !== undefined && array?.replicas === 1 && array.result !== result;

function takeResult(step: Step, id: string, source: OrderSource, maker: OrderRow): void {
  const { name, isEach } = source;
  if (maker.array) {
    const { result, tasks } = maker.array;
    // Of one task its output is the result, however often it was done.
    const task = source.task ?? (tasks === 1 && isEach !== true ? 0 : undefined);
    if (result === undefined) return;
    if (source.result === undefined) changeSource(step, id, name, { result });
    const what = { ...(task !== undefined && { task }), ...(isEach === true && { isEach }) };
    emit(step, { kind: 'makeInput', order: id, name, result, ...what });
    const { deadlines, config } = step.market;
    deadlines.set(`inputs/${id}`, step.now.monotonicMs + config.times.checkRetryMs);
    return;
  }
  const { result, usage } = maker.delivery?.delivery ?? {};
  if (result === undefined) return;
  const sizeBytes = maker.resultBytes ?? usage?.outputBytes ?? 0;
  haveInput(step, id, source, { result, cid: result, sizeBytes });
}

function changeSource(step: Step, id: string, name: string, change: Partial<OrderSource>): void {
  const { sources = [] } = orderOf(step.market, id);
  updateOrder(step, id, {
    sources: sources.map((one) => (one.name === name ? { ...one, ...change } : one)),
  });
}

interface Made {
  readonly result: string;
  readonly cid: string;
  readonly sizeBytes: number;
}

function haveInput(step: Step, id: string, { name, order, task }: OrderSource, made: Made): void {
  const { result, cid, sizeBytes } = made;
  changeSource(step, id, name, made);
  logStep(step, id, 'input', MARKET_ENTRIES.input, {
    ...{ name, order, result, cid, sizeBytes },
    ...(task !== undefined && { task }),
  });
}

/** What was put together of an order of many tasks is stored. */
export function inputMade(step: Step, event: Extract<MarketEvent, { kind: 'inputMade' }>): void {
  const { order: id, name, outcome } = event;
  const row = step.market.orders.get(id);
  const source = row?.sources?.find((one) => one.name === name);
  if (row?.work !== 'blocked' || !source || source.cid !== undefined) return;
  if (outcome.is === 'unavailable' || source.result === undefined) return;
  if (outcome.is === 'impossible') {
    const text = `input order ${source.order}: ${outcome.text}`.slice(0, REASON_MAX).toWellFormed();
    return failWork(step, id, 'failed', { code: 'MARKET_INPUT_FAILED', text });
  }
  const { cid, sizeBytes } = outcome;
  haveInput(step, id, source, { result: source.result, cid, sizeBytes });
  startWhenReady(step, id);
}

/** All inputs are there: from now on it is an order like any other. */
function startWhenReady(step: Step, id: string): void {
  const row = orderOf(step.market, id);
  const { sources = [], needs } = row;
  if (sources.some(({ cid }) => cid === undefined)) return;
  const made = sources.flatMap(({ cid, sizeBytes = 0, isEach }) =>
    cid === undefined || isEach === true ? [] : [{ cid, sizeBytes }],
  );
  const inputBytes = made.reduce((sum, { sizeBytes }) => sum + sizeBytes, needs.inputBytes);
  const inputs = [...(needs.inputs ?? []), ...made].slice(0, INPUTS_MAX);
  updateOrder(step, id, {
    work: row.array ? 'running' : 'queued',
    readyAtUs: step.now.timeUs,
    needs: { ...needs, inputBytes, ...(inputs.length > 0 && { inputs }) },
  });
  if (row.array) enqueueBatches(step, id);
  else enqueueBinding(step, id);
}
