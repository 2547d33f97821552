/**
 * `seele run FILE.yaml`: orders the jobs of a file and watches them. The market runs the graph: when this
 * command is killed nothing changes for the jobs, and the same command finds them again.
 */
import { realpathSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { sha256Hex } from '#libs/crypto';
import { formatAmount, utf8, utf8Decode } from '#libs/kernel';
import {
  ENDED,
  JOB_FILE_MAX_BYTES,
  type OrderDocument,
  createNodeClient,
  defaultMinIsolation,
  readJobFile,
} from '#libs/sdk';
import { type BlobStore, encryptionKeyPairFromSeed } from '#libs/storage';
import { cliError } from '../errors.ts';
import { type CommandContext, wholeNumber } from '../frame/command.ts';
import { connectStorage, serviceUrl, signerOf } from '../frame/connect.ts';
import { dataFolder, openOwnerStore } from '../frame/data-home.ts';
import { readUserFile } from '../frame/files.ts';
import { openAccount } from '../frame/keys.ts';
import { followOrder } from '../frame/follow.ts';
import { money } from '../frame/job-view.ts';
import { connectMarket } from '../frame/market.ts';
import type { Json, Output } from '../frame/output.ts';
import { tableLines } from '../frame/table.ts';
import { type DatasetReader, createDatasetReader } from './datasets.ts';
import { dryRun } from './dry-run.ts';
import { type FileArea, localFile } from './local-files.ts';
import { type PlanOptions, type PlannedJob, planJobs } from './plan.ts';
import { type ResultTarget, recordResult, resultPlace } from './record-result.ts';
import { type Ordering, orderAll } from './order-jobs.ts';
import { keepResult } from './results.ts';
import { openRunState } from './run-state.ts';

const GRANT_MAX_BYTES = 16 * 1024;

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
  ...{ in: [], param: [], validatorParam: [], domain: [], level: [], region: [] },
  ...{ tier: 'A', wall: '60', memory: '256', within: '3600' },
  ...{ kind: undefined, name: undefined, fuel: undefined, checkpointFuel: undefined },
  ...{ clock: undefined, weights: undefined, priority: undefined, minIsolation: undefined },
  ...{
    validator: undefined,
    validatorFuel: undefined,
    tasks: undefined,
    replicas: undefined,
    cap: undefined,
    quote: undefined,
    out: undefined,
    save: undefined,
  },
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

interface Session extends Ordering {
  readonly context: CommandContext;
  readonly options: RunFileOptions;
  readonly timeoutMs: number;
  readonly nameWidth: number;
}

/** How a job of the file ended. */
interface Outcome {
  readonly name: string;
  readonly is: 'ordered' | 'done' | 'failed' | 'skipped';
  readonly order?: OrderDocument;
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
  const planned = {
    ...{ area, minIsolation, store: () => store, nowMs: isResumed ? 0 : nowMs },
    ...dataOf(context, options, area, store),
  };
  const plans = await planJobs(file, planned);
  const named = file.isSet ? plans : plans.map((plan) => withFileName(plan, given));
  if (options.dryRun) return dryRun(context, market, named);
  const status = await market.status();
  const signer = signerOf(context.home, options.from);
  const state = openRunState({
    ...{ home: context.home, file: path, chain: status.chain, plan: hashOf(named), nowMs },
    account: signer.account,
    mode: isResumed ? 'resume' : options.again ? 'again' : 'new',
  });
  try {
    await runJobs(
      {
        ...{ context, options, market, store, state, signer, timeoutMs, chain: status.chain },
        marketAccount: status.market,
        nameWidth: Math.max(...named.map(({ name }) => name.length)),
      },
      named,
    );
  } finally {
    state.close();
  }
}

/** What a plan asks about datasets; keys are opened when it does. */
function dataOf(
  context: CommandContext,
  { from }: RunFileOptions,
  area: FileArea,
  store: BlobStore,
): Pick<PlanOptions, 'datasets' | 'ownData'> {
  const { home, signal } = context;
  const node = createNodeClient(serviceUrl(context, 'node'));
  let reader: DatasetReader | undefined;
  return {
    datasets: (source, fail) => {
      const { secret } = encryptionKeyPairFromSeed(openAccount(home, from).seed);
      reader ??= createDatasetReader({
        ...{ node, store, secret, signal, signer: signerOf(home, from) },
        openOwner: () => openOwnerStore(home),
        folder: join(dataFolder(home), 'fetched'),
        readFile: (path, failed) =>
          readUserFile(localFile(area, path, GRANT_MAX_BYTES, failed).path),
      });
      return reader(source, fail);
    },
    ownData: async () => ({
      chainName: (await node.genesis()).chainName,
      account: signerOf(home, from).account,
    }),
  };
}

/** The only job of a file is called like the file, unless it has a name. */
function withFileName(plan: PlannedJob, path: string): PlannedJob {
  if (plan.description.name !== plan.name) return plan;
  const name = basename(path).replace(/\.[^.]+$/, '');
  return { ...plan, manifest: (orders) => ({ ...plan.manifest(orders), name }) };
}

function hashOf(plans: readonly PlannedJob[]): string {
  const words = plans.map(
    ({ name, description, inputs, eachOf, priceCap, completeByMs, withinMs }) => [
      ...[name, description, inputs, eachOf, priceCap, completeByMs, withinMs],
    ],
  );
  const text = JSON.stringify(words, (_, value: unknown) =>
    typeof value === 'bigint' ? value.toString() : value,
  );
  return sha256Hex(utf8(text));
}

async function runJobs(session: Session, plans: readonly PlannedJob[]): Promise<void> {
  const { context, options, state } = session;
  const { output } = context;
  const isWatched =
    options.follow === true || state.isResumed || plans.some(({ parents }) => parents.length > 0);
  if (state.isResumed) output.note('goes on with the run that was begun before');
  const orders = await orderAll(session, plans);
  const outcomes = await Promise.all(
    plans.map(async ({ name }, i): Promise<Outcome> => {
      const order = orders[i] as OrderDocument;
      return isWatched
        ? watch(session, plans[i] as PlannedJob, order)
        : { name, is: 'ordered', order };
    }),
  );
  state.finish();
  report(output, outcomes, isWatched);
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
  const isSkipped = reason?.code === 'MARKET_INPUT_FAILED';
  if (!isGood)
    return {
      ...{ ...seen, is: isSkipped ? 'skipped' : 'failed' },
      why: reason?.text ?? exit ?? status,
    };
  const { output: path, isMany, target } = plan;
  if (target) return { ...seen, is: 'done', output: await record(session, order, plan, target) };
  if (path === undefined) return { ...seen, is: 'done' };
  await keepResult(session, order, { path, isMany });
  output.line(`result written to ${path}`);
  return { ...seen, is: 'done', output: path };
}

/** One after the other: versions of one account are recorded in turn. */
let recording: Promise<unknown> = Promise.resolve();

async function record(
  session: Session,
  order: OrderDocument,
  { isMany, name }: PlannedJob,
  target: ResultTarget,
): Promise<string> {
  const { context, options } = session;
  const turn = recording.then(async () => {
    await keepResult(session, order, { path: resultPlace(context, target), isMany });
    const { chainName } = await createNodeClient(serviceUrl(context, 'node')).genesis();
    return recordResult(context, options.from, target, order, chainName);
  });
  recording = turn.catch(() => {});
  const { uai, version, isNew } = await turn;
  context.output.line(
    `${name}: ${isNew ? 'recorded' : 'was recorded before'} as ${uai} ${version}`,
  );
  return uai;
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
