/**
 * `seele run FILE.yaml`: orders the jobs of a file. The market does not know that jobs belong together:
 * this command orders a job when those it reads from have settled, and keeps what it ordered in the home.
 */
import { randomBytes } from 'node:crypto';
import { realpathSync, statSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { sha256Hex } from '#libs/crypto';
import { formatAmount, hasCode, parseAccount, utf8, utf8Decode } from '#libs/kernel';
import { type Manifest, encodeManifest, manifestCid } from '#libs/market';
import {
  ENDED,
  JOB_FILE_MAX_BYTES,
  type MarketClient,
  type OrderDocument,
  defaultMinIsolation,
  readJobFile,
  signOrder,
} from '#libs/sdk';
import type { BlobRef, BlobStore } from '#libs/storage';
import { cliError } from '../errors.ts';
import { type CommandContext, wholeNumber } from '../frame/command.ts';
import { connectStorage, serviceUrl, signerOf } from '../frame/connect.ts';
import { readUserFile } from '../frame/files.ts';
import { followOrder } from '../frame/follow.ts';
import { money } from '../frame/job-view.ts';
import { connectMarket } from '../frame/market.ts';
import type { Json, Output } from '../frame/output.ts';
import { tableLines } from '../frame/table.ts';
import { dryRun } from './dry-run.ts';
import { type PlannedJob, planJobs } from './plan.ts';
import { priceOf } from './price.ts';
import { keepResult } from './results.ts';
import { type OrderedJob, type RunState, openRunState } from './run-state.ts';

/** An order waits no longer than this for its block, however late it may be done. */
const PLACE_WITHIN_MS = 300_000;

export interface RunFileOptions {
  readonly from: string;
  readonly market?: string;
  readonly files?: string;
  readonly dryRun?: boolean;
  readonly resume?: boolean;
  readonly again?: boolean;
  readonly follow?: boolean;
  readonly timeout: string;
  readonly [name: string]: unknown;
}

export const isJobFile = (path: string): boolean => /\.(ya?ml|json)$/i.test(path);

/** Said in the file, so that a run can be repeated by it alone. */
const IN_FILE_ONLY = {
  ...{ in: [], param: [], domain: [], level: [], region: [] },
  ...{ tier: 'A', wall: '60', memory: '256', within: '3600' },
  ...{ kind: undefined, name: undefined, fuel: undefined, checkpointFuel: undefined },
  ...{ clock: undefined, weights: undefined, priority: undefined, minIsolation: undefined },
  ...{ tasks: undefined, cap: undefined, quote: undefined, out: undefined, save: undefined },
  ...{ webhook: undefined },
} as const;

function refuseOptions(options: RunFileOptions): void {
  for (const [name, preset] of Object.entries(IN_FILE_ONLY)) {
    const given = options[name];
    const isPreset = Array.isArray(given) ? given.length === 0 : given === preset;
    const flag = name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    if (!isPreset && given !== undefined)
      throw cliError('CLI_USAGE', `--${flag} is said in the job file, not beside it`);
  }
}

function readText(path: string): string {
  const { size } = statSync(path, { throwIfNoEntry: false }) ?? { size: 0 };
  if (size > JOB_FILE_MAX_BYTES)
    throw cliError(
      'CLI_FILE',
      `${path} has ${size} bytes, a job file at most ${JOB_FILE_MAX_BYTES}`,
    );
  return utf8Decode(readUserFile(path));
}

interface Session {
  readonly context: CommandContext;
  readonly options: RunFileOptions;
  readonly market: MarketClient;
  readonly store: BlobStore;
  readonly state: RunState;
  readonly chain: string;
  readonly marketAccount: string;
  readonly timeoutMs: number;
  readonly nameWidth: number;
}

/** How a job of the file ended. */
interface Outcome {
  readonly name: string;
  readonly is: 'ordered' | 'done' | 'failed' | 'skipped';
  readonly order?: OrderDocument;
  readonly result?: BlobRef;
  readonly events?: readonly unknown[];
  readonly output?: string;
  readonly why?: string;
}

/** @throws SDK_JOB_FILE, CLI_USAGE, CLI_JOB_RUN, CLI_JOB_FAILED */
export async function runFile(
  context: CommandContext,
  options: RunFileOptions,
  given: string,
): Promise<void> {
  refuseOptions(options);
  if (options.resume && options.again)
    throw cliError('CLI_USAGE', '--resume goes on, --again begins anew: choose one');
  const timeoutMs = wholeNumber('--timeout', options.timeout, 1) * 1000;
  const file = readJobFile(readText(given), given);
  const path = realpathSync(given);
  const folder = dirname(path);
  const market = connectMarket(context, options);
  const store = connectStorage(context);
  const minIsolation = defaultMinIsolation(serviceUrl(context, 'market', options.market));
  const area = { folder, within: resolve(options.files ?? folder) };
  const nowMs = Date.now();
  const isResumed = options.resume === true;
  const planned = { area, minIsolation, store: () => store, nowMs: isResumed ? 0 : nowMs };
  const plans = await planJobs(file, planned);
  const named = file.isSet ? plans : plans.map((plan) => withFileName(plan, given));
  if (options.dryRun) return dryRun(context, market, named);
  const status = await market.status();
  const state = openRunState({
    ...{ home: context.home, file: path, chain: status.chain, plan: hashOf(named), nowMs },
    account: signerOf(context.home, options.from).account,
    mode: isResumed ? 'resume' : options.again ? 'again' : 'new',
  });
  try {
    await runJobs(
      {
        ...{ context, options, market, store, state, timeoutMs, chain: status.chain },
        marketAccount: status.market,
        nameWidth: Math.max(...named.map(({ name }) => name.length)),
      },
      named,
    );
  } finally {
    state.close();
  }
}

/** The only job of a file is called like the file, unless it has a name. */
function withFileName(plan: PlannedJob, path: string): PlannedJob {
  if (plan.description.name !== plan.name) return plan;
  const name = basename(path).replace(/\.[^.]+$/, '');
  return { ...plan, manifest: (results) => ({ ...plan.manifest(results), name }) };
}

function hashOf(plans: readonly PlannedJob[]): string {
  const words = plans.map(({ name, description, inputs, priceCap, completeByMs, withinMs }) => [
    ...[name, description, inputs, priceCap, completeByMs, withinMs],
  ]);
  const text = JSON.stringify(words, (_, value: unknown) =>
    typeof value === 'bigint' ? value.toString() : value,
  );
  return sha256Hex(utf8(text));
}

async function runJobs(session: Session, plans: readonly PlannedJob[]): Promise<void> {
  const { context, options, state } = session;
  const isWatched =
    options.follow === true ||
    options.resume === true ||
    plans.some(({ parents }) => parents.length > 0);
  const ends = new Map<string, Promise<Outcome>>();
  // One order at a time: each is in the home before the market hears of it.
  let turn: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const done = turn.then(work);
    turn = done.catch(() => {});
    return done;
  };
  for (const plan of plans) {
    const run = async (): Promise<Outcome> => {
      const parents = await Promise.all(
        plan.parents.map((name) => ends.get(name) as Promise<Outcome>),
      );
      const bad = parents.find(({ is }) => is !== 'done');
      if (bad)
        return { name: plan.name, is: 'skipped', why: `"${bad.name}" gave no result: not ordered` };
      const results = new Map(parents.map(({ name, result }) => [name, result as BlobRef]));
      const order = await inTurn(() => orderOf(session, plan, results));
      return isWatched ? watch(session, plan, order) : { name: plan.name, is: 'ordered', order };
    };
    ends.set(plan.name, run());
  }
  const settled = await Promise.allSettled(ends.values());
  const broken = settled.find((end) => end.status === 'rejected');
  if (broken) throw broken.reason;
  const outcomes = await Promise.all(ends.values());
  state.finish();
  report(context.output, outcomes, isWatched);
}

/** The job's order: the one that was made before, else a new one. */
async function orderOf(
  session: Session,
  plan: PlannedJob,
  results: ReadonlyMap<string, BlobRef>,
): Promise<OrderDocument> {
  const { market, state, context } = session;
  if (context.signal.aborted) throw cliError('CLI_INTERRUPTED', 'stopped before all was ordered');
  const before = state.ordered(plan.name);
  const known = before && (await knownOrder(market, before.order));
  if (before && known) {
    if (!before.isAccepted) state.keep(plan.name, { ...before, isAccepted: true });
    return known;
  }
  if (before?.isAccepted)
    throw cliError('CLI_JOB_RUN', `the market does not know order ${before.order} any more`);
  const { store } = session;
  for (const upload of plan.uploads) await upload(store);
  const manifest = plan.manifest(results);
  await store.putBlock(encodeManifest(manifest), { codec: 'dag-cbor' });
  // The market never took it; as long as it still may, it is that very order again.
  const isOpen = before && Date.now() < before.nowUs / 1000 + before.placeWithinMs;
  return isOpen ? submit(session, plan, manifest, before) : newOrder(session, plan, manifest);
}

async function knownOrder(market: MarketClient, id: string): Promise<OrderDocument | undefined> {
  try {
    return await market.order(id);
  } catch (error) {
    if (hasCode(error, 'MARKET_ORDER_UNKNOWN')) return undefined;
    throw error;
  }
}

async function newOrder(session: Session, plan: PlannedJob, manifest: Manifest) {
  const { market } = session;
  const quote = await market.quote(manifest);
  const { priceCap = 0n, unitPrice, problem } = priceOf(plan, manifest, quote);
  if (problem !== undefined) throw cliError('CLI_CHECK_FAILED', `job "${plan.name}": ${problem}`);
  const nowMs = Date.now();
  const withinMs = plan.completeByMs === undefined ? plan.withinMs : plan.completeByMs - nowMs;
  if (withinMs <= 0)
    throw cliError('CLI_CHECK_FAILED', `job "${plan.name}": its completeBy has passed`);
  const { array } = manifest;
  const terms = {
    ...{ manifest: manifestCid(manifest), salt: randomBytes(16).toString('hex') },
    ...{ nowUs: nowMs * 1000, priceCap: priceCap.toString(), completeWithinMs: withinMs },
    placeWithinMs: Math.min(withinMs, PLACE_WITHIN_MS),
    ...(array &&
      unitPrice !== undefined && {
        array: { tasks: array.tasks, replicas: array.replicas, unitPrice: unitPrice.toString() },
      }),
  };
  return submit(
    session,
    plan,
    manifest,
    { ...terms, isAccepted: false },
    array ? undefined : quote.signed,
  );
}

async function submit(
  { context, options, market, state, chain, marketAccount }: Session,
  { name, webhook }: PlannedJob,
  manifest: Manifest,
  terms: Omit<OrderedJob, 'order'>,
  quote?: string,
): Promise<OrderDocument> {
  const { array, priceCap } = terms;
  const { id, signed } = signOrder(signerOf(context.home, options.from), {
    ...{ chain, market: parseAccount(marketAccount), manifest: terms.manifest },
    ...{ priceCap: BigInt(priceCap), nowUs: terms.nowUs, salt: terms.salt },
    ...{ placeWithinMs: terms.placeWithinMs, completeWithinMs: terms.completeWithinMs },
    ...(array && { array: { ...array, unitPrice: BigInt(array.unitPrice) } }),
  });
  state.keep(name, { ...terms, order: id });
  if (webhook !== undefined) await market.webhooks.add({ url: webhook, order: id });
  const order = await market.submit(signed, manifest, quote);
  state.keep(name, { ...terms, order: id, isAccepted: true });
  return order;
}

async function watch(session: Session, plan: PlannedJob, ordered: OrderDocument): Promise<Outcome> {
  const { context, options, market, timeoutMs, nameWidth } = session;
  const { name } = plan;
  const output = prefixed(context.output, name.padEnd(nameWidth));
  if (!ENDED.has(ordered.status))
    output.line(`order ${ordered.id.slice(0, 12)}, at most ${money(ordered.priceCap)}`);
  const { order, events } = options.follow
    ? await followOrder({ ...context, output }, market, ordered.id, timeoutMs)
    : { order: await ended(session, ordered.id), events: undefined };
  const seen = { name, order, ...(events && { events }) };
  const { exit, status, array, reason } = order;
  const isGood = status === 'settled' && (array ? array.failed === 0 : exit === 'ok');
  output.line(
    isGood
      ? `done, paid ${money(order.chain.paid)}`
      : `${status}: ${reason?.text ?? exit ?? 'no reason given'}`,
  );
  if (!isGood) return { ...seen, is: 'failed', why: reason?.text ?? exit ?? status };
  const result = await keepResult(session, order, { path: plan.output, isMany: plan.isMany });
  if (plan.output !== undefined) output.line(`result written to ${plan.output}`);
  return { ...seen, is: 'done', result, ...(plan.output && { output: plan.output }) };
}

async function ended(session: Session, id: string): Promise<OrderDocument> {
  const { market, timeoutMs, context } = session;
  const order = await market.waitForEnd(id, { timeoutMs, signal: context.signal });
  if (ENDED.has(order.status)) return order;
  throw cliError('CLI_INTERRUPTED', `stopped watching ${id}; it is ${order.status} and goes on`);
}

/** Every line says which job it is about. */
function prefixed(output: Output, name: string): Output {
  return {
    ...output,
    line: (text = '') => output.line(`${output.style('cyan', name)}  ${text}`),
    status: (text) => output.status(text === '' ? '' : `${name}  ${text}`),
  };
}

function report(output: Output, outcomes: readonly Outcome[], isWatched: boolean): void {
  const rows = outcomes.map(({ name, is, order, output: file, why }) => [
    ...[name, is, order?.id.slice(0, 12) ?? '–'],
    isWatched ? money(order?.chain.paid ?? '0') : `at most ${money(order?.priceCap)}`,
    why ?? file ?? order?.result ?? '',
  ]);
  const paid = outcomes.reduce((sum, { order }) => sum + BigInt(order?.chain.paid ?? '0'), 0n);
  output.answer({ jobs: outcomes, paid: paid.toString() } as unknown as Json, () => {
    for (const line of tableLines(['job', 'is', 'order', 'paid', 'result'], rows))
      output.line(line);
    output.line(
      isWatched
        ? `paid ${formatAmount(paid)} in all`
        : '  next: the same command with --resume waits and writes results to their files',
    );
  });
  const bad = outcomes.find(({ is }) => is === 'failed');
  if (bad) throw cliError('CLI_JOB_FAILED', `job "${bad.name}" (${bad.order?.id}): ${bad.why}`);
}
