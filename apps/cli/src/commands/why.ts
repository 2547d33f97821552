/** `seele why JOB`: what an order waits for, what would help, and every decision about it. */
import type { WhyDocument } from '#libs/sdk';
import type { CommandContext } from '../frame/command.ts';
import { money } from '../frame/job-view.ts';
import { type MarketOptions, connectMarket, orderIdOf } from '../frame/market.ts';
import type { Json } from '../frame/output.ts';

function waitingLines({
  text,
  considered,
  fitting,
  filters,
  cells,
  tenant,
  relaxations,
}: NonNullable<WhyDocument['waiting']>) {
  return [
    `waits: ${text}`,
    `  ${considered} providers known, ${fitting} could take it`,
    ...filters.map((filter) => `  ${filter.providers} ${filter.text}`),
    ...(cells.length > 1 ? cells.map(cellLine) : []),
    ...(tenant.waiting > 0
      ? [
          `  ${tenant.own} of the ${tenant.waiting} waiting orders are yours, of ${tenant.accounts} accounts; your share of everything is ${(100 * tenant.share).toFixed(1)} %`,
        ]
      : []),
    ...(relaxations.length > 0 ? ['it would run with'] : []),
    ...relaxations.map(({ changes, price, cell }) => {
      const changed = changes.map(({ field, from, to }) => `${field} ${from} → ${to}`);
      return `  ${changed.join(', ')} (${cell}, at most ${money(price)})`;
    }),
  ];
}

type CellDocument = NonNullable<WhyDocument['waiting']>['cells'][number];

function cellLine({ cell, providers, fitting, free, left }: CellDocument): string {
  const others = Object.entries(left).map(([filter, count]) => `${count} ${filter}`);
  const rest = others.length > 0 ? ` (${others.join(', ')})` : '';
  return `  ${cell}: ${fitting} of ${providers} fit, ${free} free${rest}`;
}

/** The lines of an explanation, times counted from the first decision. */
export function whyLines(why: WhyDocument): string[] {
  const { decisions, id, reason, status, waiting } = why;
  const startMs = Date.parse(decisions[0]?.time ?? '');
  return [
    `${id} is ${status}${reason ? `: ${reason.text} [${reason.code}]` : ''}`,
    ...(waiting ? waitingLines(waiting) : []),
    ...decisions.map(({ kind, text, time }) => {
      const seconds = ((Date.parse(time) - startMs) / 1000).toFixed(2);
      return `${`${seconds} s`.padStart(9)}  ${kind.padEnd(9)} ${text}`;
    }),
  ];
}

export async function explainJob(
  context: CommandContext,
  options: MarketOptions,
  given: string,
): Promise<void> {
  const market = connectMarket(context, options);
  const why = await market.why(await orderIdOf(market, given));
  context.output.answer(why as unknown as Json, () => {
    for (const line of whyLines(why)) context.output.line(line);
  });
}
