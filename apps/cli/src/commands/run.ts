/** `seele quote` and `seele run`: what a job would cost; ordering it. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { SeeleError, formatAmount, parseAccount, parseAmount } from '#libs/kernel';
import type { Manifest } from '#libs/market';
import { type QuoteDocument, arrayOutputs, defaultMinIsolation, signOrder } from '#libs/sdk';
import { cliError } from '../errors.ts';
import { type CommandContext, wholeNumber } from '../frame/command.ts';
import { accountNames, connectStorage, serviceUrl, signerOf } from '../frame/connect.ts';
import { readUserFile, writeUserFile } from '../frame/files.ts';
import { followOrder } from '../frame/follow.ts';
import { type JobOptions, prepareJob } from '../frame/job-input.ts';
import { money, orderLines, quoteLines } from '../frame/job-view.ts';
import { connectMarket } from '../frame/market.ts';
import type { Json } from '../frame/output.ts';
import { isJobFile, runFile } from '../job-file/run-file.ts';

/** An order waits no longer than this for its block, however late it may be done. */
const PLACE_WITHIN_MS = 300_000;

/** Says openly what is asked for where nothing was said. */
function withIsolation(context: CommandContext, options: JobOptions): JobOptions {
  const url = serviceUrl(context, 'market', options.market);
  return { ...options, minIsolation: options.minIsolation ?? defaultMinIsolation(url) };
}

export interface QuoteOptions extends JobOptions {
  readonly save?: string;
}

export async function quote(
  context: CommandContext,
  options: QuoteOptions,
  code: string,
): Promise<void> {
  if (isJobFile(code)) return runFile(context, { timeout: '600', ...options, dryRun: true }, code);
  const market = connectMarket(context, options);
  const { manifest } = await prepareJob(
    connectStorage(context),
    code,
    withIsolation(context, options),
  );
  const answer = await market.quote(manifest);
  if (options.save !== undefined)
    writeUserFile(options.save, new TextEncoder().encode(`${JSON.stringify(answer)}\n`));
  context.output.answer(answer as unknown as Json, () => {
    for (const line of quoteLines(answer)) context.output.line(line);
  });
  if (answer.options.length === 0)
    throw cliError('CLI_CHECK_FAILED', `none of ${answer.considered} providers can take this job`);
}

export interface RunOptions extends JobOptions {
  readonly cap?: string;
  readonly quote?: string;
  readonly within: string;
  readonly follow?: boolean;
  readonly out?: string;
  readonly webhook?: string;
  readonly timeout: string;
}

export async function run(
  context: CommandContext,
  options: RunOptions,
  code: string,
): Promise<void> {
  if (isJobFile(code)) return runFile(context, options, code);
  for (const name of ['dryRun', 'resume', 'again', 'files'])
    if (options[name] !== undefined)
      throw cliError('CLI_USAGE', `--${name.replace('R', '-r')} is for job files (.yaml, .json)`);
  const { output, home } = context;
  const timeoutMs = wholeNumber('--timeout', options.timeout, 1) * 1000;
  const given = options.cap === undefined ? undefined : parseAmount(options.cap);
  const market = connectMarket(context, options);
  const [status, { manifest, manifestCid }] = await Promise.all([
    market.status(),
    prepareJob(connectStorage(context), code, withIsolation(context, options)),
  ]);
  const withinMs = wholeNumber('--within', options.within, 1) * 1000;
  const offers = await quoteFor(market, options, manifest);
  const best = offers?.options[0];
  if (offers && !best) {
    const why = offers.reasons.map(({ providers, text }) => `${providers} ${text}`).join('; ');
    throw cliError('CLI_CHECK_FAILED', `no provider can take this job now: ${why || 'none known'}`);
  }
  const { array } = manifest;
  // Each replica of a task is paid for; a cap that was named is for all of them together.
  const units = BigInt((array?.tasks ?? 1) * (array?.replicas ?? 1));
  const priceCap = given ?? BigInt(best?.priceCap ?? '0');
  const quoted = best?.unitPrice === undefined ? undefined : BigInt(best.unitPrice);
  const unitPrice = given === undefined ? (quoted ?? priceCap / units) : given / units;
  const { id, signed } = signOrder(signerOf(home, options.from), {
    chain: status.chain,
    market: parseAccount(status.market),
    manifest: manifestCid,
    priceCap,
    ...(array && { array: { tasks: array.tasks, replicas: array.replicas, unitPrice } }),
    nowUs: Date.now() * 1000,
    completeWithinMs: withinMs,
    placeWithinMs: Math.min(withinMs, PLACE_WITHIN_MS),
  });
  // Before the order, so that it hears of the first event; and so that a refusal costs nothing.
  if (options.webhook !== undefined) await market.webhooks.add({ url: options.webhook, order: id });
  const order = await market.submit(signed, manifest, offers?.signed);
  if (!options.follow) {
    output.answer({ order } as unknown as Json, () => {
      output.line(order.id);
      output.line(`  ${order.status}, at most ${formatAmount(signed.order.priceCap)}`);
      output.line(`  next: seele job follow ${order.id.slice(0, 12)}`);
    });
    return;
  }
  const followed = await followOrder(context, market, order.id, timeoutMs);
  await finish(context, options, market, followed);
}

/** A quote to order by: the saved one, or a new one unless a cap was named. */
async function quoteFor(
  market: ReturnType<typeof connectMarket>,
  { quote: file, cap }: RunOptions,
  manifest: Manifest,
): Promise<QuoteDocument | undefined> {
  if (file === undefined) return cap === undefined ? market.quote(manifest) : undefined;
  try {
    const saved = JSON.parse(
      new TextDecoder().decode(readUserFile(file)),
    ) as Partial<QuoteDocument>;
    if (typeof saved.signed === 'string' && Array.isArray(saved.options))
      return saved as QuoteDocument;
  } catch (error) {
    if (error instanceof SeeleError) throw error;
  }
  throw cliError('CLI_FILE', `${file} is not a quote (seele quote … --save ${file})`);
}

/** Of many tasks: one file per task in the folder that was named, or the first few in the answer. */
async function finishArray(
  context: CommandContext,
  { out, tasks }: RunOptions,
  { order, events }: Awaited<ReturnType<typeof followOrder>>,
): Promise<void> {
  const { output, home } = context;
  const { array, result } = order;
  // One task that several operators did, not the first of many.
  const isSole = array?.tasks === 1 && tasks === undefined;
  const failed: { task: number; error: string; log?: readonly string[] }[] = [];
  const shown: Record<number, string> = {};
  let outputs = 0;
  if (out !== undefined && !isSole) mkdirSync(out, { recursive: true });
  if (result !== undefined)
    for await (const { task, output: bytes, error, log } of arrayOutputs(
      connectStorage(context),
      result,
    )) {
      if (!bytes) failed.push({ task, error: error ?? 'no output', ...(log && { log }) });
      else if (isSole && out !== undefined) writeUserFile(out, bytes);
      else if (out !== undefined) writeUserFile(join(out, String(task)), bytes);
      else if (task < OUTPUTS_SHOWN) shown[task] = new TextDecoder().decode(bytes);
      if (bytes) outputs += 1;
    }
  const sole = isSole && shown[0] !== undefined ? { result: shown[0] } : {};
  output.answer({ order, events, outputs, failed, shown, ...sole } as unknown as Json, () => {
    for (const line of orderLines(order, accountNames(home))) output.line(line);
    if (out !== undefined)
      output.line(
        isSole ? `result written to ${out}` : `${outputs} outputs written to ${out}/<task>`,
      );
    for (const [task, text] of Object.entries(shown))
      output.line(isSole ? `\n${text}` : `${task}: ${text}`);
    for (const { task, error, log = [] } of failed.slice(0, OUTPUTS_SHOWN)) {
      output.line(`${task} failed: ${error}`);
      for (const line of log) output.line(`  ${line}`);
    }
  });
  if (order.status !== 'settled' || (array?.failed ?? 0) > 0 || failed.length > 0)
    throw cliError(
      'CLI_JOB_FAILED',
      `${order.id} is ${order.status}: ${outputs} of ${array?.tasks ?? 0} tasks gave an output; paid ${money(order.chain.paid)}`,
    );
}

const OUTPUTS_SHOWN = 10;

async function finish(
  context: CommandContext,
  options: RunOptions,
  market: ReturnType<typeof connectMarket>,
  { order, events }: Awaited<ReturnType<typeof followOrder>>,
): Promise<void> {
  const { output, home } = context;
  if (order.array) return finishArray(context, options, { order, events });
  const good = order.exit === 'ok' && order.status === 'settled';
  const result = good ? await market.result(order.id) : undefined;
  if (result && options.out !== undefined) writeUserFile(options.out, result);
  const text = result && options.out === undefined ? new TextDecoder().decode(result) : undefined;
  output.answer(
    { order, events, ...(text === undefined ? {} : { result: text }) } as unknown as Json,
    () => {
      for (const line of orderLines(order, accountNames(home))) output.line(line);
      if (options.out !== undefined && result) output.line(`result written to ${options.out}`);
      else if (text !== undefined) output.line(`\n${text}`);
    },
  );
  if (!good)
    throw cliError(
      'CLI_JOB_FAILED',
      `${order.id} is ${order.status} (${order.reason?.text ?? order.exit ?? 'no reason given'}); paid ${money(order.chain.paid)}`,
    );
}
