/** `seele storage status|repair|renew|end|top-up`: deals that run. */
import { dealsCalls, type ShardRecord } from '#contracts';
import {
  type RetrievalFigures,
  checkRetrieval,
  dealHealth,
  repairBelow,
  repairDeal,
  reportMissed,
  sendOrThrow,
} from '#libs/deals';
import { formatAccount, formatAmount, parseAmount } from '#libs/kernel';
import { createSystemClock } from '#libs/platform';
import { type CommandContext, wholeNumber } from '../frame/command.ts';
import { accountNames } from '../frame/connect.ts';
import type { Json } from '../frame/output.ts';
import {
  type DealOptions,
  type WholeDeal,
  connectDeals,
  contentOfDeal,
  dealNamed,
  durationUs,
  ownGateway,
  readWholeDeal,
} from '../frame/storage-deals.ts';
import { formatBytes, formatDuration, shorten, tableLines } from '../frame/table.ts';

const nowUs = (): number => Date.now() * 1000;
const isoOf = (epoch: number, epochUs: number): string =>
  new Date((epoch * epochUs) / 1000).toISOString();

function summaryOf({ id, deal, shards }: WholeDeal) {
  const health = dealHealth(deal, shards, nowUs());
  const isOver = nowUs() >= (deal.endEpoch + 1) * deal.epochUs;
  const lastProof = Math.max(0, ...shards.map(({ paidEpoch }) => paidEpoch));
  const state =
    deal.closedAtUs !== undefined
      ? 'closed'
      : isOver
        ? 'over'
        : health.needsRepair
          ? 'repair'
          : health.held === deal.shards
            ? 'whole'
            : health.held >= deal.needed
              ? 'readable'
              : 'short';
  return {
    ...{ deal: id, state, held: health.held, invited: health.invited, lost: health.lost },
    ...{ shards: deal.shards, needed: deal.needed, repairBelow: repairBelow(deal) },
    ...{ shardBytes: deal.shardBytes, epochSeconds: deal.epochUs / 1e6 },
    lastProof: lastProof === 0 ? null : isoOf(lastProof, deal.epochUs),
    ends: isoOf(deal.endEpoch + 1, deal.epochUs),
    ...{ paid: deal.paid.toString(), escrow: deal.escrow.toString(), fund: deal.fund.toString() },
    repairer: deal.repairer === undefined ? null : formatAccount(deal.repairer),
  };
}

function shardFacts(shard: ShardRecord, index: number, epochUs: number) {
  const { state, provider, paidEpoch, proven, missed, generation, collateral } = shard;
  return {
    ...{ index, state, generation, proven, missed, collateral: collateral.toString() },
    provider: provider === undefined ? null : formatAccount(provider),
    lastProof: paidEpoch === 0 ? null : isoOf(paidEpoch, epochUs),
  };
}

export interface StatusOptions extends DealOptions {
  readonly check?: string;
}

/** Reads from each provider as anybody can, and measures. */
async function checkAll(
  { deal, shards, gatewayOf }: WholeDeal,
  reads: number,
): Promise<ReadonlyMap<number, RetrievalFigures>> {
  const figures = new Map<number, RetrievalFigures>();
  for (const [index, { state, provider, cid }] of shards.entries()) {
    if (state !== 'held' || provider === undefined || cid === undefined) continue;
    const gateway = gatewayOf(provider);
    const shard = { gateway: gateway ?? '', cid, sizeBytes: deal.shardBytes };
    figures.set(
      index,
      gateway === undefined
        ? { reads, failed: reads, error: 'it has no offer with a gateway' }
        : await checkRetrieval(shard, { reads, random: Math.random }),
    );
  }
  return figures;
}

export async function storageStatus(
  context: CommandContext,
  options: StatusOptions,
  given?: string,
): Promise<void> {
  const { output } = context;
  const at = connectDeals(context, options);
  if (given === undefined) {
    const ids = await at.reader.dealsOf(at.signer.account);
    const all = await Promise.all(ids.map(async (id) => summaryOf(await readWholeDeal(at, id))));
    return output.answer({ deals: all } as unknown as Json, () => {
      if (all.length === 0) return output.line('No deal is open.');
      const rows = all.map((one) => [
        one.deal.slice(0, 12),
        one.state,
        `${one.held}/${one.shards} (${one.needed})`,
        formatBytes(one.shardBytes),
        one.lastProof ?? '–',
        one.ends,
        formatAmount(BigInt(one.paid)),
      ]);
      const head = ['deal', 'state', 'shards (needed)', 'each', 'last proof', 'ends', 'paid'];
      for (const line of tableLines(head, rows)) output.line(line);
    });
  }
  const whole = await readWholeDeal(at, await dealNamed(at, given));
  const reads = wholeNumber('--check', options.check ?? '0');
  const retrieval = reads > 0 ? await checkAll(whole, reads) : new Map<number, RetrievalFigures>();
  const summary = summaryOf(whole);
  const shards = whole.shards.map((shard, index) => ({
    ...shardFacts(shard, index, whole.deal.epochUs),
    ...(retrieval.has(index) && { retrieval: retrieval.get(index) }),
  }));
  output.answer({ ...summary, shards } as unknown as Json, () => {
    output.line(`${whole.id}: ${summary.state}`);
    output.line(
      `  ${summary.held} of ${summary.shards} shards are kept, ${summary.needed} are needed, repair below ${summary.repairBelow}`,
    );
    output.line(
      `  ends ${summary.ends}; paid ${formatAmount(whole.deal.paid)}, ahead ${formatAmount(whole.deal.escrow)}, for repairs ${formatAmount(whole.deal.fund)}`,
    );
    const names = accountNames(context.home);
    const rows = shards.map((shard) => {
      const figures = retrieval.get(shard.index);
      const read =
        figures === undefined
          ? ''
          : figures.msP50 === undefined
            ? `not readable (${figures.error ?? ''})`
            : `${formatDuration(figures.msP50)}, ${figures.failed} of ${figures.reads} failed`;
      const who = shard.provider;
      return [
        String(shard.index),
        shard.state,
        who === null ? '–' : (names.get(who) ?? shorten(who)),
        shard.lastProof ?? '–',
        String(shard.proven),
        String(shard.missed),
        read,
      ];
    });
    const head = ['shard', 'state', 'provider', 'last proof', 'proven', 'missed', 'reads'];
    for (const line of tableLines(head, rows)) output.line(line);
  });
}

export interface RepairOptions extends DealOptions {
  readonly perOperator: string;
}

export async function storageRepair(
  context: CommandContext,
  options: RepairOptions,
  given: string,
): Promise<void> {
  const { output, signal } = context;
  const at = connectDeals(context, options);
  const id = await dealNamed(at, given);
  const parts = { ...at, clock: createSystemClock(), source: ownGateway(context, options), signal };
  const before = await readWholeDeal(at, id);
  await reportMissed(parts, id, before.deal, before.shards);
  const { deal, shards, offers } = await readWholeDeal(at, id);
  output.status('rebuilding lost shards …');
  const perOperator = wholeNumber('--per-operator', options.perOperator, 1);
  const content = await contentOfDeal(at, id);
  const repaired = await repairDeal(parts, id, deal, shards, content, offers, { perOperator });
  const document = repaired.map(({ index, provider }) => ({
    ...{ index, provider: formatAccount(provider) },
  }));
  output.answer({ deal: id, repaired: document }, () => {
    if (repaired.length === 0) return output.line('No shard is lost.');
    for (const { index, provider } of document)
      output.line(`shard ${index} goes to ${shorten(provider)}`);
  });
}

export interface RenewOptions extends DealOptions {
  readonly by: string;
}

export async function storageRenew(
  context: CommandContext,
  options: RenewOptions,
  given: string,
): Promise<void> {
  const at = connectDeals(context, options);
  const id = await dealNamed(at, given);
  const { deal } = await readWholeDeal(at, id);
  const epochs = Math.max(1, Math.ceil(durationUs('--by', options.by) / deal.epochUs));
  const endEpoch = deal.endEpoch + epochs;
  await sendOrThrow(at.sender, [dealsCalls.renew({ deal: id, endEpoch })]);
  const cost = deal.price * BigInt(deal.shards) * BigInt(epochs);
  const ends = isoOf(endEpoch + 1, deal.epochUs);
  context.output.answer({ deal: id, ends, cost: cost.toString() }, () =>
    context.output.line(`${id} now ends ${ends}; ${formatAmount(cost)} paid in advance`),
  );
}

export async function storageEnd(
  context: CommandContext,
  options: DealOptions,
  given: string,
): Promise<void> {
  const at = connectDeals(context, options);
  const id = await dealNamed(at, given);
  await sendOrThrow(at.sender, [dealsCalls.end({ deal: id })]);
  const { deal } = await readWholeDeal(at, id);
  const ends = isoOf(deal.endEpoch + 1, deal.epochUs);
  context.output.answer({ deal: id, ends }, () =>
    context.output.line(`${id} ends ${ends}; what is not used then comes back to you`),
  );
}

export async function storageTopUp(
  context: CommandContext,
  options: DealOptions,
  given: string,
  text: string,
): Promise<void> {
  const at = connectDeals(context, options);
  const id = await dealNamed(at, given);
  const amount = parseAmount(text);
  await sendOrThrow(at.sender, [dealsCalls.topUp({ deal: id, amount })]);
  context.output.answer({ deal: id, amount: amount.toString() }, () =>
    context.output.line(`${formatAmount(amount)} added for repairs of ${id}`),
  );
}
