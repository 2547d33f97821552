/**
 * Deals: the work around contract `deals`. Content cut, coded and encrypted for each provider; providers
 * that take shards and prove them; repair of what is lost; reading it all back.
 *
 * Owns: the layout of shards, their masks, what a deal says of its content, offers of storage, the
 * provider's and the repairer's rounds. Does not own: the rules of money (contract `deals`), blocks on
 * disk (`apps/storage`), processes and settings (apps).
 *
 * @example
 * const offers = await readStorageOffers(node);
 * const quote = quoteDeal(offers, file.sizeBytes, terms, repairer);
 * const id = await openDeal(parts, file, terms, quote);
 */
export * from './chain.ts';
export { openDescriptor } from './descriptor.ts';
export type { OpenDeal } from './descriptor.ts';
export * from './errors.ts';
export { checkRetrieval } from './gateway.ts';
export type { RetrievalFigures } from './gateway.ts';
export * from './keeper.ts';
export * from './offer.ts';
export * from './open-deal.ts';
export {
  type Repaired,
  type RepairParts,
  dealHealth,
  repairBelow,
  repairDeal,
  reportMissed,
} from './repair.ts';
export { assignShards } from './place.ts';
export * from './register.ts';
export * from './repair-service.ts';
export { restoreDeal } from './retrieve.ts';
export { shardSize } from './shards.ts';
