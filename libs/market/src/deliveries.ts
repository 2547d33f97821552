/**
 * Deliveries: checked here, the result's existence and size at the storage, and only then accepted,
 * once. What the guest did wrong is charged for; what the provider did wrong is done again elsewhere.
 */
import { DELIVERY_DOMAIN, type SignedDelivery, deliveryBytes } from '#contracts';
import { accountOf } from '#libs/crypto';
import { pursueChain } from './chain-steps.ts';
import { isContradicted } from './delivery-hash.ts';
import { freeSlotOf, loseLease } from './endings.ts';
import { wakeFollowers } from './graph/followers.ts';
import { logStep, payOwedEntries } from './job-log.ts';
import { MARKET_ENTRIES } from '#libs/audit';
import type { MarketEvent } from './model/events.ts';
import type { OrderRow } from './model/rows.ts';
import { noteCheck } from './checks/log-check.ts';
import { wakeAudit } from './checks/replay-due.ts';
import { chargeFor } from './pricing.ts';
import { observeDelivery } from './placement/observe.ts';
import { HOST_EXITS } from './retry.ts';
import { type Step, emit, orderOf, saveRow, updateOrder, withoutFields } from './state.ts';

function answer(
  step: Step,
  session: string | undefined,
  lease: string,
  accepted: 'yes' | 'no',
  reason?: string,
): void {
  if (session === undefined) return;
  const message = { kind: 'delivered', lease, accepted } as const;
  emit(step, {
    kind: 'sendAgent',
    session,
    message: reason === undefined ? message : { ...message, reason },
  });
}

/** Tells an agent that a lease it speaks of is dead. */
export function cancelDelivery(
  step: Step,
  session: string,
  lease: string,
  isDelivery = false,
): void {
  const reason = 'the lease is over';
  if (isDelivery) return answer(step, session, lease, 'no', reason);
  emit(step, { kind: 'sendAgent', session, message: { kind: 'cancel', lease, reason } });
}

export function takeDelivery(
  step: Step,
  session: string,
  row: OrderRow,
  signed: SignedDelivery,
): void {
  const lease = row.lease?.lease as string;
  // Accepted before, and the answer was lost on the way.
  if (row.work === 'done') return answer(step, session, lease, 'yes');
  if (row.work === 'checking') return;
  if (row.work !== 'leased') return answer(step, session, lease, 'no', 'the order is over');
  const { delivery } = signed;
  const refusal = refuseDelivery(step, row, signed);
  if (refusal !== undefined) {
    answer(step, session, lease, 'no', refusal);
    return loseLease(step, row.id, { code: 'bad-delivery', reason: refusal, retry: 'bad-work' });
  }
  if (delivery.logLength > row.log.length) {
    // Its entries were lost on the way: it sends them, and then the delivery, again.
    emit(step, {
      kind: 'sendAgent',
      session,
      message: { kind: 'eventsSaved', lease, log: row.log },
    });
    return;
  }
  if (delivery.logLength !== row.log.length || delivery.logHead !== row.log.head) {
    const reason = 'the delivery does not end the stored log';
    answer(step, session, lease, 'no', reason);
    return loseLease(step, row.id, { code: 'bad-log', reason, retry: 'bad-work' });
  }
  if (HOST_EXITS.has(delivery.exit)) {
    answer(step, session, lease, 'no', `exit ${delivery.exit} is not charged`);
    return loseLease(step, row.id, {
      code: delivery.exit,
      reason: `the provider's slot ended with ${delivery.exit}`,
      retry: 'slot',
    });
  }
  updateOrder(step, row.id, { work: 'checking', delivery: signed });
  payOwedEntries(step, row.id);
  if (delivery.result === undefined) acceptDelivery(step, row.id);
  else checkResult(step, row.id);
}

function refuseDelivery(
  { market }: Step,
  row: OrderRow,
  { delivery, publicKey, signature }: SignedDelivery,
): string | undefined {
  const { lease, needs } = row;
  if (!lease || delivery.chain !== market.config.chain || delivery.order !== row.id)
    return 'the delivery is of another order';
  if (delivery.fence !== lease.fence) return `fence ${delivery.fence}, current is ${lease.fence}`;
  if (delivery.provider !== lease.provider || accountOf(publicKey) !== lease.provider)
    return 'the delivery is of another provider';
  if (!market.config.verify(publicKey, DELIVERY_DOMAIN, deliveryBytes(delivery), signature))
    return 'the signature does not verify';
  if ((delivery.exit === 'ok') !== (delivery.result !== undefined))
    return `exit ${delivery.exit} ${delivery.result === undefined ? 'without' : 'with'} a result`;
  const kind = needs.kind ?? 'js';
  const isMetered = delivery.metered !== undefined;
  if (kind === 'js' ? isMetered : !isMetered && delivery.exit === 'ok')
    return `a ${kind} job ${isMetered ? 'with' : 'without'} fuel`;
  if (isContradicted(row.chain, delivery)) return 'the chain was given another delivery';
  const most = chargeFor(lease, needs.limits, delivery.usage, lease.price);
  if (delivery.charge > most) return `charge ${delivery.charge} above ${most} for this use`;
  return undefined;
}

/** Asks the storage whether the result is there and fits; asked again until it answers. */
export function checkResult(step: Step, id: string): void {
  const { market, now } = step;
  const row = orderOf(market, id);
  const result = row.delivery?.delivery.result;
  if (row.work !== 'checking' || !row.lease || result === undefined) return;
  emit(step, {
    kind: 'checkResult',
    order: id,
    fence: row.lease.fence,
    cid: result,
    maxBytes: row.needs.limits.outputBytes,
  });
  market.deadlines.set(`check/${id}`, now.monotonicMs + market.config.times.checkRetryMs);
}

export function resultChecked(
  step: Step,
  event: Extract<MarketEvent, { kind: 'resultChecked' }>,
): void {
  const { market, now } = step;
  const row = market.orders.get(event.order);
  if (row?.work !== 'checking' || row.lease?.fence !== event.fence) return;
  const { outcome } = event;
  if (outcome.is === 'good') {
    updateOrder(step, row.id, { resultBytes: outcome.sizeBytes });
    return validateResult(step, row);
  }
  if (outcome.is === 'too-large') return refuseResult(step, row, 'the result is over its limit');
  // Only a storage that answers can say that a result is missing; one that does not may be down.
  if (outcome.is === 'unavailable') return;
  const since = market.missingSinceMs.get(row.id) ?? now.monotonicMs;
  market.missingSinceMs.set(row.id, since);
  if (now.monotonicMs - since >= market.config.times.resultGraceMs)
    refuseResult(step, row, 'the result is not in storage');
}

/** Has the order's validator look at the result, if it names one; asked again with the next check. */
function validateResult(step: Step, row: OrderRow): void {
  const result = row.delivery?.delivery.result;
  if (!row.needs.hasValidator || !row.lease || result === undefined)
    return acceptDelivery(step, row.id);
  const { manifest } = row.signed.order;
  emit(step, { kind: 'validate', order: row.id, fence: row.lease.fence, manifest, result });
}

/** The consumer's program has looked at it: what it rejects is not paid and done again elsewhere. */
export function validated(
  step: Step,
  { order, fence, verdict }: Extract<MarketEvent, { kind: 'validated' }>,
): void {
  const row = step.market.orders.get(order);
  if (row?.work !== 'checking' || row.lease?.fence !== fence || verdict.is === 'unavailable')
    return;
  const { provider } = row.lease;
  if (verdict.is === 'rejected') {
    const reason = `the validator rejected it: ${verdict.reason}`;
    payOwedEntries(step, order);
    noteCheck(step, order, { code: 'validator-rejected', reason, provider });
    return refuseResult(step, row, reason.slice(0, 500), 'MARKET_VALIDATOR_REJECTED');
  }
  // Whoever names a program that says nothing has said nothing against the result.
  const reason =
    verdict.is === 'broken'
      ? `the validator ended without a verdict, so the result counts: ${verdict.reason}`
      : 'the validator accepted it';
  noteCheck(step, order, { code: `validator-${verdict.is}`, reason, provider });
  acceptDelivery(step, order);
}

export function refuseResult(step: Step, row: OrderRow, reason: string, code = 'bad-result'): void {
  const lease = row.lease?.lease as string;
  const provider = row.lease && step.market.providers.get(row.lease.provider);
  answer(step, provider?.session, lease, 'no', reason);
  loseLease(step, row.id, { code, reason, retry: 'bad-work' });
}

/** The one place where work becomes done. The provider is told when this is durable. */
export function acceptDelivery(step: Step, id: string): void {
  const { market } = step;
  const row = orderOf(market, id);
  if (!row.lease || !row.delivery) return;
  if (isContradicted(row.chain, row.delivery.delivery))
    return refuseResult(step, row, 'the chain was given another delivery');
  const { provider: account, fence, lease } = row.lease;
  const { delivery } = row.delivery;
  updateOrder(step, id, { work: 'done' });
  withoutFields(step, id, 'reason');
  logStep(step, id, 'delivered', MARKET_ENTRIES.delivered, {
    provider: account,
    fence,
    exit: delivery.exit,
    charge: delivery.charge,
    ...(delivery.result !== undefined && { result: delivery.result }),
  });
  market.deadlines.clear(`complete/${id}`);
  observeDelivery(step, row);
  freeSlotOf(step, row);
  const provider = market.providers.get(account);
  if (provider) {
    provider.row = { ...provider.row, completed: provider.row.completed + 1 };
    saveRow(step, 'provider', account, provider.row);
  }
  answer(step, provider?.session, lease, 'yes');
  wakeFollowers(step, id);
  wakeAudit(step, row);
  pursueChain(step, id);
}
