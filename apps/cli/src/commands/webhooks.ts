/** `seele webhooks …`: events of orders, sent to an address of their owner. */
import type { MarketClient, WebhookDocument } from '#libs/sdk';
import { cliError } from '../errors.ts';
import { type CommandContext, wholeNumber } from '../frame/command.ts';
import { type MarketOptions, connectMarket, orderIdOf } from '../frame/market.ts';
import type { Json } from '../frame/output.ts';
import { tableLines } from '../frame/table.ts';

/** A webhook by its id or the beginning of it. */
async function webhookIdOf(market: MarketClient, given: string): Promise<string> {
  const found = (await market.webhooks.list()).filter(({ id }) => id.startsWith(given));
  const [one] = found;
  if (one && found.length === 1) return one.id;
  throw cliError(
    'CLI_USAGE',
    `${found.length === 0 ? 'none' : found.length} of your webhooks begins with ${given}: seele webhooks list`,
  );
}

function webhookLines(webhook: WebhookDocument): string[] {
  const { id, url, order, status, disabled, lastFailure, waiting, missed } = webhook;
  return [
    `${id}  ${status}  ${url}`,
    ...(order === undefined ? [] : [`  of order ${order}`]),
    ...(waiting === 0 ? [] : [`  ${waiting} orders have events that it has not taken`]),
    ...(missed === 0 ? [] : [`  events of ${missed} orders were given up: replay them`]),
    ...(disabled ? [`  ${disabled.code}: ${disabled.text}`, `  ${disabled.fix}`] : []),
    ...(lastFailure && !disabled ? [`  ${lastFailure.code}: ${lastFailure.text}`] : []),
  ];
}

export async function webhooksAdd(
  context: CommandContext,
  options: MarketOptions & { readonly order?: string; readonly events: readonly string[] },
  url: string,
): Promise<void> {
  const market = connectMarket(context, options);
  const { order, events } = options;
  const kinds = events.map((kind) => (kind === 'all' ? '*' : kind));
  const [webhook, { market: account }] = await Promise.all([
    market.webhooks.add({
      url,
      ...(order !== undefined && { order: await orderIdOf(market, order) }),
      ...(kinds.length > 0 && { events: kinds }),
    }),
    market.status(),
  ]);
  context.output.answer({ webhook, market: account } as unknown as Json, () => {
    for (const line of webhookLines(webhook)) context.output.line(line);
    context.output.line(`  verify with market ${account} (verifyWebhook of the SDK)`);
    context.output.line(`  next: seele webhooks test ${webhook.id}`);
  });
}

export async function webhooksList(context: CommandContext, options: MarketOptions): Promise<void> {
  const webhooks = await connectMarket(context, options).webhooks.list();
  context.output.answer({ webhooks } as unknown as Json, () => {
    if (webhooks.length === 0) return context.output.line('No webhooks.');
    const head = ['webhook', 'status', 'waiting', 'order', 'address'];
    const rows = webhooks.map(({ id, status, waiting, order, url }) => [
      ...[id, status, String(waiting), order?.slice(0, 12) ?? 'all', url],
    ]);
    for (const line of tableLines(head, rows)) context.output.line(line);
    for (const webhook of webhooks.filter(({ status }) => status !== 'active'))
      for (const line of webhookLines(webhook)) context.output.line(line);
  });
}

export async function webhooksRemove(
  context: CommandContext,
  options: MarketOptions,
  given: string,
): Promise<void> {
  const market = connectMarket(context, options);
  const id = await webhookIdOf(market, given);
  await market.webhooks.remove(id);
  context.output.answer({ removed: id }, () => context.output.line(`${id} is removed`));
}

export async function webhooksResume(
  context: CommandContext,
  options: MarketOptions,
  given: string,
): Promise<void> {
  const market = connectMarket(context, options);
  const webhook = await market.webhooks.resume(await webhookIdOf(market, given));
  context.output.answer({ webhook } as unknown as Json, () => {
    for (const line of webhookLines(webhook)) context.output.line(line);
  });
}

export interface ReplayOptions extends MarketOptions {
  readonly order: string;
  readonly fromSequence: string;
  readonly toSequence?: string;
}

export async function webhooksReplay(
  context: CommandContext,
  options: ReplayOptions,
  given: string,
): Promise<void> {
  const market = connectMarket(context, options);
  const order = await orderIdOf(market, options.order);
  const { fromSequence, toSequence } = options;
  const { queued } = await market.webhooks.replay(await webhookIdOf(market, given), {
    order,
    from: wholeNumber('--from-sequence', fromSequence, 0),
    ...(toSequence !== undefined && { to: wholeNumber('--to-sequence', toSequence, 0) }),
  });
  context.output.answer({ order, queued }, () =>
    context.output.line(`${queued} events of ${order} are sent once more`),
  );
}

export async function webhooksTest(
  context: CommandContext,
  options: MarketOptions,
  given: string,
): Promise<void> {
  const market = connectMarket(context, options);
  const outcome = await market.webhooks.test(await webhookIdOf(market, given));
  const { delivered, status, failure, tookMs } = outcome;
  context.output.answer(outcome as unknown as Json, () => {
    if (delivered) context.output.line(`taken with status ${status} in ${tookMs} ms`);
    else
      for (const line of [`${failure?.code}: ${failure?.text}`, `  ${failure?.fix}`])
        context.output.line(line);
  });
  if (!delivered) throw cliError('CLI_CHECK_FAILED', failure?.text ?? 'it was not taken');
}
