/**
 * Providers' agents: sessions, heartbeats, leases kept and lost. A session speaks for one provider;
 * a newer one replaces it. A lease lives as long as heartbeats name it; when the market loses it, the
 * agent is told at its next word.
 */
import { accountOf, hashOf } from '#libs/crypto';
import { encodeWith } from '#libs/kernel';
import { fillProvider, sendLease } from './binding.ts';
import {
  batchHolder,
  batchMessage,
  batchOverdue,
  compareBatches,
  isDeliveredBefore,
  keepBatch,
} from './arrays/agents.ts';
import { askBond } from './checks/bonds.ts';
import { cancelDelivery, takeDelivery } from './deliveries.ts';
import { loseLease } from './endings.ts';
import { takeEvents, takeProgress } from './provider-log.ts';
import { type MarketMessage, providerOffer } from './agent-protocol.ts';
import type { MarketEvent } from './model/events.ts';
import { type OrderRow, ROW_VERSION } from './model/rows.ts';
import { paceOf } from './pace.ts';
import { observeBrokenOffer } from './placement/observe.ts';
import { expectBack, giveUp, welcomeBack } from './returns.ts';
import { NO_ROOM, classOfDecline } from './retry.ts';
import { freeSlots } from './room.ts';
import {
  type ProviderState,
  type Step,
  absentProvider,
  emit,
  orderOf,
  saveRow,
  updateOrder,
} from './state.ts';

type Hello = Extract<MarketEvent, { kind: 'agentHello' }>;
type Gone = Extract<MarketEvent, { kind: 'agentGone' }>;
type Message = Extract<MarketEvent, { kind: 'agentMessage' }>['message'];

function say(step: Step, session: string, message: MarketMessage): void {
  emit(step, { kind: 'sendAgent', session, message });
}

function close(step: Step, session: string, code: string, reason: string): void {
  emit(step, { kind: 'closeAgent', session, code, reason });
}

export function agentHello(step: Step, event: Hello): void {
  const { market, now } = step;
  const { session, publicKey, offer } = event;
  const { caps, times } = market.config;
  const account = accountOf(publicKey);
  if (account !== offer.provider)
    return close(step, session, 'MARKET_AGENT_HELLO', 'the offer is of another account');
  const known = market.providers.get(account);
  if (market.sessions.size >= caps.sessions || (!known && market.providers.size >= caps.providers))
    return close(step, session, 'MARKET_OVERLOADED', 'no room for another provider');
  if (known?.session !== undefined && known.session !== session) {
    market.sessions.delete(known.session);
    close(step, known.session, 'MARKET_REPLACED', 'a newer connection of this provider came');
  }
  const provider: ProviderState = known ?? newProvider(event, account);
  provider.session = session;
  welcomeBack(step, provider);
  provider.reportedFree = Math.max(0, offer.slots - event.leases.length);
  provider.draining = event.draining === true;
  const before = known?.row.offer;
  if (!known || !isSameOffer(known.row.offer, offer)) market.places.fits.forget();
  market.places.tenants.offered(before, offer);
  const { goneUs: _, ...row } = provider.row;
  provider.row = { ...row, publicKey, offer, lastSeenUs: now.timeUs };
  market.providers.set(account, provider);
  market.sessions.set(session, account);
  saveRow(step, 'provider', account, provider.row);
  say(step, session, { kind: 'welcome', ...paceOf(times, offer.level), timeUs: now.timeUs });
  compareLeases(step, provider, event);
  askBond(step, account);
  fillProvider(step, account);
}

/** Nothing changed by which jobs are placed. */
const isSameOffer = (a: Hello['offer'], b: Hello['offer']): boolean =>
  hashOf('seele/offer/1', encodeWith(providerOffer, a)) ===
  hashOf('seele/offer/1', encodeWith(providerOffer, b));

const newProvider = ({ publicKey, offer }: Hello, provider: string): ProviderState =>
  absentProvider({
    ...{ version: ROW_VERSION, provider, publicKey, offer },
    ...{ lastSeenUs: 0, completed: 0, faults: 0 },
  });

/** What the agent holds against what we think it holds. */
function compareLeases(step: Step, provider: ProviderState, event: Hello): void {
  const listed = new Set(event.leases.map(({ lease }) => lease));
  for (const id of [...provider.holding]) {
    const row = orderOf(step.market, id);
    if (!row.lease || listed.has(row.lease.lease)) continue;
    if (row.lease.state === 'offered') sendLease(step, id);
    else if (row.work === 'leased') {
      const reason = 'the agent came back without the lease';
      loseLease(step, id, { code: 'forgotten', reason, retry: 'silence' });
    }
  }
  compareBatches(step, provider, listed);
  for (const lease of listed) keepLease(step, provider, event.session, lease);
}

/** Extends a lease that is current, or tells the agent that it is not. */
function keepLease(step: Step, provider: ProviderState, session: string, lease: string): void {
  const batch = batchHolder(step, provider, lease);
  if (batch) return keepBatch(step, provider, batch);
  const row = leaseHolder(step, provider, lease);
  if (!row) return cancelDelivery(step, session, lease);
  if (row.work !== 'leased') return;
  const { market, now } = step;
  if (row.lease?.state === 'offered') startWork(step, row);
  const { leaseMs } = paceOf(market.config.times, provider.row.offer.level);
  market.leaseEndsMs.set(lease, now.monotonicMs + leaseMs);
  // The time to accept it may be longer than a lease: silence is not to be borne that long.
  market.deadlines.setEarlier(`lease/${lease}`, now.monotonicMs + leaseMs);
}

/** The order whose newest lease this is, if it is this provider's. */
export function leaseHolder(
  step: Step,
  provider: ProviderState,
  lease: string,
): OrderRow | undefined {
  const id = step.market.leases.get(lease);
  const row = id === undefined ? undefined : step.market.orders.get(id);
  return row?.lease?.lease === lease && row.lease.provider === provider.row.provider
    ? row
    : undefined;
}

function startWork(step: Step, row: OrderRow): void {
  if (row.lease) updateOrder(step, row.id, { lease: { ...row.lease, state: 'working' } });
}

export function agentGone(step: Step, { session, isCut = false }: Gone): void {
  const { market } = step;
  const account = market.sessions.get(session);
  if (account === undefined) return;
  market.sessions.delete(session);
  const provider = market.providers.get(account);
  // Its leases live on until they run out: a short cut of the line loses no work.
  if (provider?.session !== session) return;
  provider.session = undefined;
  if (isCut && !provider.draining) expectBack(step, provider);
  else giveUp(step, account);
}

export function agentMessage(step: Step, session: string, message: Message): void {
  const { market, now } = step;
  const account = market.sessions.get(session);
  const provider = account === undefined ? undefined : market.providers.get(account);
  if (!provider) return close(step, session, 'MARKET_AGENT_HELLO', 'say hello first');
  provider.row = { ...provider.row, lastSeenUs: now.timeUs };
  if (message.kind === 'heartbeat') return heartbeat(step, provider, session, message);
  const batch = batchHolder(step, provider, message.lease);
  if (batch) return batchMessage(step, provider, session, batch, message);
  if (isDeliveredBefore(step, message))
    return say(step, session, { kind: 'delivered', lease: message.lease, accepted: 'yes' });
  const row = leaseHolder(step, provider, message.lease);
  const isDelivery = message.kind === 'deliver' || message.kind === 'deliverUnits';
  if (!row) return cancelDelivery(step, session, message.lease, isDelivery);
  switch (message.kind) {
    case 'accept':
      return keepLease(step, provider, session, message.lease);
    case 'decline':
      return decline(step, provider, row, message);
    case 'events':
      return takeEvents(step, session, row, message.batch);
    case 'progress':
      return takeProgress(step, row, message);
    case 'deliver':
      return takeDelivery(step, session, row, message.delivery);
    case 'deliverUnits':
      return cancelDelivery(step, session, message.lease, true);
  }
}

function heartbeat(
  step: Step,
  provider: ProviderState,
  session: string,
  message: Extract<Message, { kind: 'heartbeat' }>,
): void {
  provider.reportedFree = Math.min(message.freeSlots, provider.row.offer.slots);
  provider.draining = message.draining === true;
  for (const lease of message.leases) keepLease(step, provider, session, lease);
  if (freeSlots(provider) > 0) fillProvider(step, provider.row.provider);
}

function decline(
  step: Step,
  provider: ProviderState,
  row: OrderRow,
  message: Extract<Message, { kind: 'decline' }>,
): void {
  if (row.work !== 'leased') return;
  const { code, reason } = message;
  if (NO_ROOM.has(code)) provider.reportedFree = 0;
  // It was given no more than it said was free.
  if (code === 'PROVIDER_BUSY') observeBrokenOffer(step, provider);
  if (code === 'PROVIDER_DRAINING') provider.draining = true;
  const retry = classOfDecline(code, row.lease?.state === 'working');
  loseLease(step, row.id, { code, reason, retry });
}

/** The time of a lease is up, unless heartbeats moved its end. */
export function leaseOverdue(step: Step, lease: string): void {
  const { market, now } = step;
  const batch = market.batches.get(lease);
  const id = batch?.order ?? market.leases.get(lease);
  const endsMs = market.leaseEndsMs.get(lease);
  if (id === undefined || endsMs === undefined) return;
  if (endsMs > now.monotonicMs) {
    market.deadlines.set(`lease/${lease}`, endsMs);
    return;
  }
  const row = orderOf(market, id);
  if (!batch && (row.work !== 'leased' || row.lease?.lease !== lease)) return;
  const holder = batch?.provider ?? row.lease?.provider ?? '';
  const level = market.providers.get(holder)?.row.offer.level ?? 'standard';
  const { heartbeatMs } = paceOf(market.config.times, level);
  // We were asleep ourselves: heartbeats may lie unread. That is not held against the provider.
  if (now.monotonicMs - endsMs > heartbeatMs / 2) {
    market.leaseEndsMs.set(lease, now.monotonicMs + heartbeatMs);
    market.deadlines.set(`lease/${lease}`, now.monotonicMs + heartbeatMs);
    return;
  }
  if (batch) return batchOverdue(step, batch);
  const wasWorking = row.lease?.state === 'working';
  loseLease(step, id, {
    code: wasWorking ? 'expired' : 'not-accepted',
    reason: wasWorking ? 'no heartbeat for the time of a lease' : 'no answer to the lease',
    retry: wasWorking ? 'silence' : 'room',
  });
}
