/** `seele run FILE --dry-run`: everything checked, quoted and shown; nothing stored, nothing ordered. */
import { sha256Hex } from '#libs/crypto';
import { formatAmount, utf8 } from '#libs/kernel';
import { type Manifest, manifestCid } from '#libs/market';
import type { MarketClient, QuoteDocument } from '#libs/sdk';
import { cliError } from '../errors.ts';
import type { CommandContext } from '../frame/command.ts';
import { quoteLines } from '../frame/job-view.ts';
import type { Json } from '../frame/output.ts';
import { formatBytes } from '../frame/table.ts';
import type { PlannedJob } from './plan.ts';
import { type Price, priceOf } from './price.ts';

interface DryJob {
  readonly plan: PlannedJob;
  readonly manifest: Manifest;
  readonly quote: QuoteDocument;
  readonly price: Price;
}

/** Stand for orders that are not made: the market prices a job whatever it reads. */
const placeholders = (plans: readonly PlannedJob[]): Map<string, string> =>
  new Map(plans.map(({ name }) => [name, sha256Hex(utf8(name))]));

export async function dryRun(
  { output }: CommandContext,
  market: MarketClient,
  plans: readonly PlannedJob[],
): Promise<void> {
  const orders = placeholders(plans);
  const jobs: DryJob[] = [];
  for (const plan of plans) {
    const manifest = plan.manifest(orders);
    const quote = await market.quote(manifest);
    jobs.push({ plan, manifest, quote, price: priceOf(plan, manifest, quote) });
  }
  const total = jobs.reduce((sum, { price }) => sum + (price.priceCap ?? 0n), 0n);
  const isOrderable = jobs.every(({ price }) => price.problem === undefined);
  const document = {
    ...{ dryRun: true, isOrderable, order: plans.map(({ name }) => name) },
    maximumCost: total.toString(),
    jobs: jobs.map(documentOf),
  };
  output.answer(document as unknown as Json, () => {
    for (const job of jobs) for (const line of linesOf(job)) output.line(line);
    output.line(`order: ${plans.map(({ name }) => name).join(', ')}`);
    output.line(
      `together at most ${formatAmount(total)}${isOrderable ? '' : ' without those that nobody takes'}; nothing was stored or ordered`,
    );
  });
  const bad = jobs.find(({ price }) => price.problem !== undefined);
  if (bad) throw cliError('CLI_CHECK_FAILED', `job "${bad.plan.name}": ${bad.price.problem}`);
}

/** Inputs as the plan has them: what another job makes has no CID yet. */
function documentOf({ plan, manifest, quote, price }: DryJob) {
  const isComplete = plan.parents.length === 0;
  const plain = (value: unknown): unknown =>
    JSON.parse(JSON.stringify(value, (_, v: unknown) => (typeof v === 'bigint' ? String(v) : v)));
  const { problem, priceCap, unitPrice } = price;
  const { from: _, array, ...rest } = manifest;
  const each = plan.eachOf && { taskInput: plan.eachOf };
  return {
    ...{ name: plan.name, reads: plan.parents },
    manifest: plain({
      ...rest,
      inputs: plan.inputs,
      ...(array && { array: { ...array, ...each } }),
    }),
    ...(isComplete && { manifestCid: manifestCid(manifest) }),
    ...{ cells: quote.options, reasons: quote.reasons },
    ...(priceCap !== undefined && { maximumCost: priceCap.toString() }),
    ...(unitPrice !== undefined && { unitPrice: unitPrice.toString(), units: plan.units }),
    ...(problem !== undefined && { problem }),
    ...(plan.output !== undefined && { output: plan.output }),
    ...(plan.target && { record: plan.target.uai }),
  };
}

function linesOf({ plan, manifest, quote, price }: DryJob): string[] {
  const inputs = plan.inputs.map((input) =>
    'job' in input
      ? `  input ${input.name}: what "${input.job}" results in${input.task === undefined ? '' : `, task ${input.task}`}`
      : `  input ${input.name}: ${input.cid} (${formatBytes(input.sizeBytes)})${input.dataset === undefined ? '' : `, ${input.dataset}, given to the provider in clear`}`,
  );
  const { problem, priceCap } = price;
  const many = plan.units > 1 ? `, ${plan.units} units` : '';
  return [
    `${plan.name}: ${manifest.kind}, tier ${manifest.tier}, isolation ${manifest.minIsolation}${many}`,
    `  code ${manifest.code}`,
    ...inputs,
    ...(plan.output === undefined ? [] : [`  result to ${plan.output}`]),
    ...(plan.target === undefined
      ? []
      : [`  result recorded as ${plan.target.uai}, encrypted for you: the fee of one transaction`]),
    ...quoteLines(quote).map((line) => `  ${line}`),
    ...(problem === undefined ? [] : [`  cannot be ordered: ${problem}`]),
    ...(priceCap === undefined ? [] : [`  at most ${formatAmount(priceCap)}`]),
    '',
  ];
}
