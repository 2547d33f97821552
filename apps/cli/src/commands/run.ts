/** `seele quote` and `seele run`: what a job would cost; ordering it. */
import { formatAmount, parseAccount, parseAmount } from '#libs/kernel';
import { defaultMinIsolation, signOrder } from '#libs/sdk';
import { cliError } from '../errors.ts';
import { type CommandContext, wholeNumber } from '../frame/command.ts';
import { accountNames, connectStorage, serviceUrl, signerOf } from '../frame/connect.ts';
import { writeUserFile } from '../frame/files.ts';
import { followOrder } from '../frame/follow.ts';
import { type JobOptions, prepareJob } from '../frame/job-input.ts';
import { money, orderLines, quoteLines } from '../frame/job-view.ts';
import { connectMarket } from '../frame/market.ts';
import type { Json } from '../frame/output.ts';

/** Says openly what is asked for where nothing was said. */
function withIsolation(context: CommandContext, options: JobOptions): JobOptions {
  const url = serviceUrl(context, 'market', options.market);
  return { ...options, minIsolation: options.minIsolation ?? defaultMinIsolation(url) };
}

export async function quote(
  context: CommandContext,
  options: JobOptions,
  code: string,
): Promise<void> {
  const market = connectMarket(context, options);
  const { manifest } = await prepareJob(
    connectStorage(context),
    code,
    withIsolation(context, options),
  );
  const answer = await market.quote(manifest);
  context.output.answer(answer as unknown as Json, () => {
    for (const line of quoteLines(answer)) context.output.line(line);
  });
  if (answer.options.length === 0)
    throw cliError('CLI_CHECK_FAILED', `none of ${answer.considered} providers can take this job`);
}

export interface RunOptions extends JobOptions {
  readonly cap?: string;
  readonly follow?: boolean;
  readonly out?: string;
  readonly timeout: string;
}

export async function run(
  context: CommandContext,
  options: RunOptions,
  code: string,
): Promise<void> {
  const { output, home } = context;
  const timeoutMs = wholeNumber('--timeout', options.timeout, 1) * 1000;
  const given = options.cap === undefined ? undefined : parseAmount(options.cap);
  const market = connectMarket(context, options);
  const [status, { manifest, manifestCid }] = await Promise.all([
    market.status(),
    prepareJob(connectStorage(context), code, withIsolation(context, options)),
  ]);
  const offers = given === undefined ? await market.quote(manifest) : undefined;
  const best = offers?.options[0];
  if (offers && !best) {
    const why = offers.reasons.map(({ providers, text }) => `${providers} ${text}`).join('; ');
    throw cliError('CLI_CHECK_FAILED', `no provider can take this job now: ${why || 'none known'}`);
  }
  const { signed } = signOrder(signerOf(home, options.from), {
    chain: status.chain,
    market: parseAccount(status.market),
    manifest: manifestCid,
    priceCap: given ?? BigInt(best?.priceCap ?? '0'),
    nowUs: Date.now() * 1000,
  });
  const order = await market.submit(signed, manifest);
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

async function finish(
  { output, home }: CommandContext,
  options: RunOptions,
  market: ReturnType<typeof connectMarket>,
  { order, events }: Awaited<ReturnType<typeof followOrder>>,
): Promise<void> {
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
