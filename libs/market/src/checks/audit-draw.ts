/**
 * Which settled deliveries are done again: a share of them, drawn by the hash of the block that settled them.
 * It was not known when they were signed, and whoever has chain and log draws again.
 */
import { batchDeliveryHash } from '#contracts';
import { isReplicated } from '../arrays/task-answers.ts';
import { deliveryHash } from '../delivery-hash.ts';
import type { UnitsFact } from '../model/events.ts';
import { AUDITED_BATCHES_MAX, type OrderRow } from '../model/rows.ts';
import { type Market, type Step, updateOrder } from '../state.ts';
import {
  type DrawSeed,
  NO_TRUST,
  REPLAY_CHANCE,
  auditChance,
  drawOf,
} from '../verification/index.ts';
import { isRepeatable } from './audit-subjects.ts';
import { pursueAudit } from './audits.ts';
import { stakeOf } from './bonds.ts';
import { askReplay } from './replays.ts';

/** Audits under way; beyond that none are drawn. */
const AUDITS_MAX = 1024;
const MILLION = 1_000_000;

/** Chance per million with which a block drew, as the log says it. */
export type DrawnWith = number | undefined;

/**
 * One provider's word about a `js` job that anybody may run: not of tier C, whose data stays where it is; not
 * made of other orders' results, which no delivery names.
 */
function isAuditable({ config, audits }: Market, row: OrderRow): boolean {
  const { needs, signed, sources } = row;
  if (!config.auditShare || audits.size >= AUDITS_MAX || sources) return false;
  if (signed.order.consumer === config.signer.account) return false;
  return (needs.kind ?? 'js') === 'js' && needs.tier !== 'C';
}

function auditChanceOf(market: Market, account: string, gain: bigint): number {
  const provider = market.providers.get(account);
  const trust = provider?.row.trust ?? NO_TRUST;
  const atStake = provider ? stakeOf(market, provider) : 0n;
  return auditChance(trust, { gain, atStake }, market.config.auditShare);
}

const perMillion = (chance: number): number => Math.floor(Math.min(1, chance) * MILLION);

/** The same with whole numbers on both sides, so that the log has all that decides it. */
const isDrawn = (what: 'audit' | 'replay', seed: DrawSeed, chance: number): boolean =>
  drawOf(what, seed) * MILLION < chance;

/** A block settled an order: is its delivery looked at again? @returns the chance there was */
export function drawOrder(step: Step, id: string, block: string): DrawnWith {
  const { market } = step;
  const row = market.orders.get(id);
  const delivery = row?.delivery?.delivery;
  if (row?.work !== 'done' || !delivery) return undefined;
  const seed = { block, delivery: deliveryHash(delivery) };
  if (delivery.metered) return drawReplay(step, row, seed);
  const isWhole = isRepeatable(delivery.exit) && !row.isResumed && !row.audit;
  if (!isWhole || !isAuditable(market, row)) return undefined;
  const chance = perMillion(auditChanceOf(market, delivery.provider, delivery.charge));
  if (isDrawn('audit', seed, chance)) {
    updateOrder(step, id, { audit: { state: 'due', orders: [] } });
    pursueAudit(step, { id });
  }
  return chance;
}

/** A metered delivery: is it among those that the market runs again? */
function drawReplay(step: Step, row: OrderRow, seed: DrawSeed): DrawnWith {
  // What went on from somebody else's save point is not one provider's work; inputs that other orders
  // made do not stand in the manifest, by which anybody can run it again.
  if (row.replay || row.savePoint || row.sources) return undefined;
  const chance = perMillion(step.market.config.replayShare ?? REPLAY_CHANCE);
  if (isDrawn('replay', seed, chance)) {
    updateOrder(step, row.id, { replay: { state: 'due' } });
    askReplay(step, row.id);
  }
  return chance;
}

/** A block settled a batch that one provider's word stands for: are tasks of it done again? */
export function drawBatch(step: Step, fact: UnitsFact, block: string): DrawnWith {
  const { market } = step;
  const { order: id, fence, provider, paid } = fact;
  const row = market.orders.get(id);
  const signed = market.batchesOf.get(id)?.get(fence)?.delivery;
  if (!row || !signed || isReplicated(row.array) || !isAuditable(market, row)) return undefined;
  const delivery = batchDeliveryHash(signed.delivery);
  const { audits = [] } = row;
  if (delivery !== fact.delivery || audits.length >= AUDITED_BATCHES_MAX) return undefined;
  const chance = perMillion(auditChanceOf(market, provider, paid));
  if (isDrawn('audit', { block, delivery }, chance)) {
    const audit = { state: 'due', orders: [] } as const;
    updateOrder(step, id, {
      audits: [...audits, { fence, block, audit: { ...audit, orders: [] } }],
    });
    pursueAudit(step, { id, fence });
  }
  return chance;
}
