/** `seele job …`: what became of orders. */
import { soleOutput } from '#libs/sdk';
import { arrayOutputs } from '#libs/sdk';
import { cliError } from '../errors.ts';
import { type CommandContext, wholeNumber } from '../frame/command.ts';
import { accountNames, connectStorage } from '../frame/connect.ts';
import { writeUserFile } from '../frame/files.ts';
import { followOrder } from '../frame/follow.ts';
import { money, orderLines } from '../frame/job-view.ts';
import { type MarketOptions, connectMarket, orderIdOf } from '../frame/market.ts';
import type { Json } from '../frame/output.ts';
import { formatBytes, tableLines } from '../frame/table.ts';

export async function jobList(
  context: CommandContext,
  options: MarketOptions & { readonly limit: string },
): Promise<void> {
  const limit = wholeNumber('--limit', options.limit, 1);
  const orders = await connectMarket(context, options).orders({ limit });
  context.output.answer({ orders } as unknown as Json, () => {
    if (orders.length === 0) return context.output.line('No orders yet.');
    const rows = orders.map((order) => [
      order.id.slice(0, 12),
      order.name,
      order.tier,
      order.status,
      order.exit ?? '',
      money(order.chain.paid),
      order.acceptedAt.slice(0, 19).replace('T', ' '),
    ]);
    const head = ['job', 'name', 'tier', 'status', 'exit', 'paid', 'ordered (UTC)'];
    for (const line of tableLines(head, rows)) context.output.line(line);
  });
}

export async function jobShow(
  context: CommandContext,
  options: MarketOptions,
  given: string,
): Promise<void> {
  const market = connectMarket(context, options);
  const order = await market.order(await orderIdOf(market, given));
  context.output.answer({ order } as unknown as Json, () => {
    for (const line of orderLines(order, accountNames(context.home))) context.output.line(line);
  });
}

export async function jobFollow(
  context: CommandContext,
  options: MarketOptions & { readonly timeout: string },
  given: string,
): Promise<void> {
  const market = connectMarket(context, options);
  const id = await orderIdOf(market, given);
  const timeoutMs = wholeNumber('--timeout', options.timeout, 1) * 1000;
  const { order, events } = await followOrder(context, market, id, timeoutMs);
  context.output.answer({ order, events } as unknown as Json, () => {
    for (const line of orderLines(order, accountNames(context.home))) context.output.line(line);
  });
  const isGood = order.array ? order.array.failed === 0 : order.exit === 'ok';
  if (order.status !== 'settled' || !isGood)
    throw cliError('CLI_JOB_FAILED', `${id} is ${order.status}, exit ${order.exit ?? 'none'}`);
}

export async function jobCancel(
  context: CommandContext,
  options: MarketOptions,
  given: string,
): Promise<void> {
  const market = connectMarket(context, options);
  const order = await market.cancel(await orderIdOf(market, given));
  context.output.answer({ order } as unknown as Json, () =>
    context.output.line(`${order.id} is ${order.status}`),
  );
}

export async function jobResult(
  context: CommandContext,
  options: MarketOptions & { readonly out?: string },
  given: string,
): Promise<void> {
  const { output } = context;
  const market = connectMarket(context, options);
  const id = await orderIdOf(market, given);
  const order = await market.order(id);
  const isSole = order.array?.tasks === 1 && order.result !== undefined;
  const result = isSole
    ? await soleOutput(connectStorage(context), order.result ?? '')
    : await market.result(id);
  if (options.out !== undefined) writeUserFile(options.out, result);
  const { out } = options;
  const facts = { order: id, sizeBytes: result.length };
  const where =
    out === undefined ? { result: Buffer.from(result).toString('utf8') } : { file: out };
  output.answer({ ...facts, ...where }, () => {
    if (out === undefined) process.stdout.write(result);
    else output.line(`${out} (${formatBytes(result.length)})`);
  });
}

/** Of an order of many tasks: which failed, why, and what they wrote first into their logs. */
export async function jobFailures(
  context: CommandContext,
  options: MarketOptions,
  given: string,
): Promise<void> {
  const { output } = context;
  const market = connectMarket(context, options);
  const order = await market.order(await orderIdOf(market, given));
  if (!order.array)
    throw cliError(
      'CLI_USAGE',
      `${order.id} has one task: seele job show and seele why tell of it`,
    );
  if (order.result === undefined)
    throw cliError(
      'CLI_CHECK_FAILED',
      `${order.id} is ${order.status}: its results are not there yet`,
    );
  const failures: { task: number; replica: number; error: string; log: readonly string[] }[] = [];
  for await (const one of arrayOutputs(connectStorage(context), order.result)) {
    const { task, replica, error = 'no output', log = [] } = one;
    if (!one.output) failures.push({ task, replica, error, log });
  }
  const { givenUp } = order.array;
  output.answer({ order: order.id, failures, givenUp } as unknown as Json, () => {
    for (const { task, error, log } of failures) {
      output.line(`${task} failed: ${error}`);
      for (const line of log) output.line(`  ${line}`);
    }
    for (const { from, count } of givenUp)
      output.line(`${count === 1 ? from : `${from}–${from + count - 1}`} given up: seele why`);
    if (failures.length === 0 && givenUp.length === 0) output.line('No task failed.');
  });
}
