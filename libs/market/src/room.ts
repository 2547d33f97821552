/** What a provider has free, counting our own leases at once and its heartbeats when they come. */
import type { JobNeeds, OrderRow } from './model/rows.ts';
import type { ProviderState } from './state.ts';

export function freeSlots(provider: ProviderState): number {
  if (provider.draining) return 0;
  // Whoever could not do what it offers gets less of it for a while.
  const slots = Math.ceil(provider.row.offer.slots * provider.trust);
  const unleased = slots - provider.holding.size - provider.batches.size;
  return Math.max(0, Math.min(unleased, provider.reportedFree));
}

export function hasRoom(provider: ProviderState, needs: JobNeeds): boolean {
  const { offer } = provider.row;
  return (
    freeSlots(provider) > 0 &&
    offer.cores - provider.usedCores >= needs.cores &&
    offer.memoryBytes - provider.usedMemoryBytes >= needs.memoryBytes
  );
}

/** True when the newcomer would fit once the other has left. */
export function isOfferRoomy(
  { row: { offer }, usedCores, usedMemoryBytes }: ProviderState,
  newcomer: JobNeeds,
  leaving: JobNeeds,
): boolean {
  return (
    offer.cores - usedCores + leaving.cores >= newcomer.cores &&
    offer.memoryBytes - usedMemoryBytes + leaving.memoryBytes >= newcomer.memoryBytes
  );
}

export function takeRoom(provider: ProviderState, row: OrderRow): void {
  if (provider.holding.has(row.id)) return;
  provider.holding.add(row.id);
  provider.usedCores += row.needs.cores;
  provider.usedMemoryBytes += row.needs.memoryBytes;
  provider.reportedFree = Math.max(0, provider.reportedFree - 1);
}

export function giveRoomBack(provider: ProviderState, row: OrderRow): void {
  if (!provider.holding.delete(row.id)) return;
  provider.usedCores -= row.needs.cores;
  provider.usedMemoryBytes -= row.needs.memoryBytes;
  provider.reportedFree = Math.min(provider.row.offer.slots, provider.reportedFree + 1);
}

/** A batch takes one slot, whatever the number of its units: they run one after the other. */
export function takeBatchRoom(provider: ProviderState, lease: string, needs: JobNeeds): void {
  if (provider.batches.has(lease)) return;
  provider.batches.add(lease);
  provider.usedCores += needs.cores;
  provider.usedMemoryBytes += needs.memoryBytes;
  provider.reportedFree = Math.max(0, provider.reportedFree - 1);
}

export function giveBatchRoomBack(provider: ProviderState, lease: string, needs: JobNeeds): void {
  if (!provider.batches.delete(lease)) return;
  provider.usedCores -= needs.cores;
  provider.usedMemoryBytes -= needs.memoryBytes;
  provider.reportedFree = Math.min(provider.row.offer.slots, provider.reportedFree + 1);
}
