/** Batches in agents' hands: accepted, kept by heartbeats, handed back, forgotten. */
import { loseBatch } from './endings.ts';
import { sendBatch } from './binding.ts';
import { takeUnitsDelivery } from './deliveries.ts';
import type { AgentMessage } from '../agent-protocol.ts';
import type { UnitsRow } from '../model/rows.ts';
import { paceOf } from '../pace.ts';
import { observeBrokenOffer } from '../placement/observe.ts';
import { NO_ROOM, classOfDecline } from '../retry.ts';
import type { ProviderState, Step } from '../state.ts';
import { updateBatch } from './batches.ts';

type LeaseMessage = Exclude<AgentMessage, { kind: 'hello' | 'heartbeat' }>;

/** The batch whose lease this is, if it is this provider's and open. */
export function batchHolder(
  { market }: Step,
  provider: ProviderState,
  lease: string,
): UnitsRow | undefined {
  const batch = market.batches.get(lease);
  return batch?.provider === provider.row.provider ? batch : undefined;
}

/** True when the market has the delivery already: the answer was lost on the way. */
export function isDeliveredBefore({ market }: Step, message: LeaseMessage): boolean {
  if (message.kind !== 'deliverUnits') return false;
  const { order, fence } = message.delivery.delivery;
  const batch = market.batchesOf.get(order)?.get(fence);
  return batch?.state === 'delivered' && batch.lease === message.lease;
}

export function batchMessage(
  step: Step,
  provider: ProviderState,
  session: string,
  batch: UnitsRow,
  message: LeaseMessage,
): void {
  switch (message.kind) {
    case 'accept':
      return keepBatch(step, provider, batch);
    case 'decline': {
      const { code, reason } = message;
      if (NO_ROOM.has(code)) provider.reportedFree = 0;
      // It was given no more than it said was free.
      if (code === 'PROVIDER_BUSY') observeBrokenOffer(step, provider);
      if (code === 'PROVIDER_DRAINING') provider.draining = true;
      const retry = classOfDecline(code, batch.state === 'working');
      return loseBatch(step, batch, { code, reason, retry });
    }
    case 'deliverUnits':
      return takeUnitsDelivery(step, session, batch, message);
    default:
      return;
  }
}

/** Extends the lease of a batch. */
export function keepBatch(step: Step, provider: ProviderState, batch: UnitsRow): void {
  const { market, now } = step;
  if (batch.state === 'checking') return;
  if (batch.state === 'offered') updateBatch(step, { ...batch, state: 'working' });
  const { leaseMs } = paceOf(market.config.times, provider.row.offer.level);
  market.leaseEndsMs.set(batch.lease, now.monotonicMs + leaseMs);
  market.deadlines.setEarlier(`lease/${batch.lease}`, now.monotonicMs + leaseMs);
}

/** An agent came (back): batches that it does not name are sent again, or were forgotten. */
export function compareBatches(
  step: Step,
  provider: ProviderState,
  listed: ReadonlySet<string>,
): void {
  for (const lease of [...provider.batches]) {
    const batch = step.market.batches.get(lease);
    if (!batch || listed.has(lease) || batch.state === 'checking') continue;
    if (batch.state === 'offered') sendBatch(step, lease);
    else {
      const reason = 'the agent came back without the batch';
      loseBatch(step, batch, { code: 'forgotten', reason, retry: 'silence' });
    }
  }
}

/** Silence for the time of a lease. */
export function batchOverdue(step: Step, batch: UnitsRow): void {
  const wasWorking = batch.state === 'working';
  loseBatch(step, batch, {
    code: wasWorking ? 'expired' : 'not-accepted',
    reason: wasWorking ? 'no heartbeat for the time of a lease' : 'no answer to the lease',
    retry: wasWorking ? 'silence' : 'room',
  });
}
