/** Taking on orders that read results of others: what they read must be there, or on its way. */
import type { SignedOrder } from '#contracts';
import type { Manifest } from '../manifest.ts';
import { type JobNeeds, type OrderSource, UNFINISHED, type WorkState } from '../model/rows.ts';
import type { Refusal } from '../model/views.ts';
import type { Market } from '../state.ts';
import { sourcesOf } from './followers.ts';
import { type PathOrder, doneInMs, pathOrderOf } from './path.ts';

/** Orders of one submission. */
export const GRAPH_ORDERS_MAX = 100;
/** Orders on the longest way of inputs that leads to one. */
export const GRAPH_DEPTH_MAX = 100;
/** Open orders that may read one. */
export const FOLLOWERS_MAX = 1000;

/** An order of the same submission that was found good before this one. */
export interface AheadOrder extends PathOrder {
  readonly consumer: string;
  readonly needs: JobNeeds;
  readonly tasks: number | undefined;
  readonly depth: number;
}

/** What a submission has taken up so far, as if it had been taken on. */
export interface Ahead {
  readonly orders: Map<string, AheadOrder>;
  readonly readers: Map<string, number>;
  /** Money that they need. */
  wanted: bigint;
}

export const nothingAhead = (): Ahead => ({ orders: new Map(), readers: new Map(), wanted: 0n });

interface Maker {
  readonly consumer: string;
  readonly tasks: number | undefined;
  readonly depth: number;
  readonly work: WorkState;
  readonly why?: string;
}

function makerOf(market: Market, ahead: Ahead, id: string): Maker | undefined {
  const next = ahead.orders.get(id);
  if (next) return { ...next, work: 'queued' };
  const row = market.orders.get(id);
  return (
    row && {
      consumer: row.signed.order.consumer,
      tasks: row.array?.tasks,
      depth: row.depth ?? 0,
      work: row.work,
      ...(row.reason && { why: row.reason.text }),
    }
  );
}

/** Where an order stands in its graph. */
export interface InGraph {
  readonly sources: readonly OrderSource[];
  readonly depth: number;
  /** Milliseconds until its inputs are foreseen to be there. */
  readonly readyInMs: number;
}

/** Looks at what an order reads; gives a refusal when it can never have it. */
export function placeInGraph(
  market: Market,
  { order }: SignedOrder,
  manifest: Manifest,
  ahead: Ahead,
  nowUs: number,
): InGraph | Refusal {
  const sources = sourcesOf(manifest);
  const makers = [...new Set(sources.map((source) => source.order))];
  let depth = 0;
  for (const source of sources) {
    const maker = makerOf(market, ahead, source.order);
    const refusal = maker
      ? refuseMaker(order.consumer, source, maker, manifest)
      : {
          code: 'MARKET_INPUT_UNKNOWN',
          message: `input ${JSON.stringify(source.name)}: order ${source.order} is not here and not before this one`,
        };
    if (refusal) return refusal;
    depth = Math.max(depth, (maker?.depth ?? 0) + 1);
  }
  if (depth > GRAPH_DEPTH_MAX)
    return {
      code: 'MARKET_GRAPH_LIMIT',
      message: `${depth} orders would have to be done one after the other, at most ${GRAPH_DEPTH_MAX}`,
    };
  for (const id of makers) {
    const readers = (market.followers.get(id)?.size ?? 0) + (ahead.readers.get(id) ?? 0);
    if (readers >= FOLLOWERS_MAX)
      return {
        code: 'MARKET_GRAPH_LIMIT',
        message: `${readers} open orders read order ${id} already, at most ${FOLLOWERS_MAX}`,
      };
  }
  const find = (id: string): PathOrder | undefined => {
    const row = market.orders.get(id);
    return ahead.orders.get(id) ?? (row && pathOrderOf(market, row, nowUs));
  };
  return { sources, depth, readyInMs: doneInMs(makers, find) };
}

function refuseMaker(
  consumer: string,
  { name, order, task, isEach }: OrderSource,
  maker: Maker,
  { array }: Manifest,
): Refusal | undefined {
  const input = `input ${JSON.stringify(name)}: order ${order}`;
  if (maker.consumer !== consumer)
    return { code: 'MARKET_INPUT_FOREIGN', message: `${input} is of another account` };
  if (!UNFINISHED.has(maker.work) && maker.work !== 'done')
    return {
      code: 'MARKET_INPUT_FAILED',
      message: `${input} ${maker.work}${maker.why === undefined ? '' : `: ${maker.why}`}`,
    };
  const shape = (message: string): Refusal => ({
    code: 'MARKET_INPUT_SHAPE',
    message: `${input} ${message}`,
  });
  if (task !== undefined && maker.tasks === undefined) return shape('has one task: leave task out');
  if (task !== undefined && task >= (maker.tasks ?? 0))
    return shape(`has tasks 0 to ${(maker.tasks ?? 0) - 1}, not ${task}`);
  if (isEach === true && maker.tasks !== array?.tasks)
    return shape(`has ${maker.tasks ?? 'one'} tasks, this one ${array?.tasks}: each reads one`);
  return undefined;
}

/** Counts an order that was found good, for those behind it in the same submission. */
export function putAhead(ahead: Ahead, id: string, order: AheadOrder, wanted: bigint): void {
  ahead.orders.set(id, order);
  for (const maker of order.after) ahead.readers.set(maker, (ahead.readers.get(maker) ?? 0) + 1);
  ahead.wanted += wanted;
}
