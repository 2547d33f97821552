/** The agent's steps about leases of single jobs, from the lease until its delivery is signed. */
import { DELIVERY_DOMAIN, type Delivery, deliveryBytes } from '#contracts';
import type { MarketMessage } from '../agent-protocol.ts';
import { chargeFor } from '../pricing.ts';
import { clip } from './agent-outbox.ts';
import { agentFreeSlots } from './agent-state.ts';
import type { SavePointRef } from './entries.ts';
import { acknowledge, appendEntry, appendLine, startJobLog, unsend } from './job-log.ts';
import type { AgentEvent, AgentLease, StoredLease, WorkOutcome } from './model.ts';
import { UnitSteps } from './unit-steps.ts';

type Lease = Extract<MarketMessage, { kind: 'lease' }>;

const DAY_US = 86_400_000_000;

export class JobSteps extends UnitSteps {
  /** The lease while its work runs; anything said about another one comes too late. */
  #working(id: string): AgentLease | undefined {
    const lease = this.agent.leases.get(id);
    return lease?.stage === 'working' ? lease : undefined;
  }

  protected newLease(stored: StoredLease): AgentLease {
    return {
      stored,
      stage: 'saving',
      log: startJobLog(stored.log),
      attempt: 1,
      progressSentAtMs: -Infinity,
      progressLoggedAtMs: -Infinity,
      sentAtMs: this.now.monotonicMs,
    };
  }

  protected leasedJob(message: Lease): void {
    const agent = this.agent;
    // Before its greeting a market has no say: the chain is not even known.
    if (agent.link !== 'up') return;
    const known = agent.leases.get(message.lease);
    if (known !== undefined) return this.#leasedAgain(known, message);
    const older = [...agent.leases.values()].find(({ stored }) => stored.order === message.order);
    if (older !== undefined && older.stored.fence >= message.fence)
      return this.decline(message.lease, 'PROVIDER_STALE', 'a newer lease of this order is known');
    if (older !== undefined) this.drop(older.stored.lease);
    if (agent.draining)
      return this.decline(message.lease, 'PROVIDER_DRAINING', 'the provider takes no more work');
    if (agentFreeSlots(agent) === 0)
      return this.decline(message.lease, 'PROVIDER_BUSY', 'no slot is free');
    if (message.completeByUs <= this.now.timeUs)
      return this.decline(message.lease, 'PROVIDER_LATE', 'the order’s time is over');
    const { lease, order, fence, manifest, price, completeByUs, log, savePoint, inputs } = message;
    const chain = agent.chain as string;
    const stored: StoredLease = {
      ...{ lease, order, chain, fence, manifest, price, completeByUs, log },
      ...(savePoint && { savePoint }),
      ...(inputs && { inputs }),
      entries: [],
    };
    agent.leases.set(lease, this.newLease(stored));
    this.effects.push(
      { kind: 'save', what: 'lease', lease: stored },
      { kind: 'prepare', lease: stored },
    );
  }

  /** The market repeats itself, after a restart of its own: say again what it may have missed. */
  #leasedAgain(lease: AgentLease, { log }: Lease): void {
    const id = lease.stored.lease;
    this.update(id, { log: unsend(acknowledge(lease.log, log)) });
    if (lease.stage === 'working') this.send({ kind: 'accept', lease: id });
    this.sendLog(id);
    this.sendDelivery(id);
  }

  protected savedJob(id: string, what: 'lease' | 'delivery'): void {
    const lease = this.agent.leases.get(id);
    if (what === 'lease' && lease?.stage === 'saving') {
      this.update(id, { stage: 'working' });
      this.send({ kind: 'accept', lease: id });
      this.effects.push({ kind: 'run', lease: lease.stored, attempt: 1 });
    }
    if (what === 'delivery' && lease?.stage === 'saving-delivery') {
      this.update(id, { stage: 'delivering' });
      this.sendLog(id);
      this.sendDelivery(id);
      this.heartbeat();
    }
  }

  protected started(event: Extract<AgentEvent, { kind: 'started' }>): void {
    const lease = this.#working(event.lease);
    if (lease === undefined) return;
    const { code, inputs, isolation, resumed } = event;
    const { offer } = this.agent.config;
    const { order, fence } = lease.stored;
    const log = appendEntry(lease.log, order, this.now.timeUs, 'started', {
      ...{ lease: event.lease, fence, provider: offer.provider, attempt: lease.attempt },
      ...{ code, inputs, isolation, node: offer.node },
      ...(resumed !== undefined && { resumed }),
    });
    this.update(event.lease, { log });
    // At once: whoever follows the job waits for this.
    this.sendLog(event.lease);
  }

  protected line({ lease: id, level, text }: Extract<AgentEvent, { kind: 'line' }>): void {
    const lease = this.#working(id);
    if (lease === undefined) return;
    const { timeUs, monotonicMs } = this.now;
    const at = { timeUs, flushAtMs: monotonicMs + this.agent.config.times.flushMs };
    this.update(id, { log: appendLine(lease.log, lease.stored.order, at, { level, text }) });
  }

  protected progress(id: string, share: number, note: string): void {
    if (this.#working(id) === undefined) return;
    this.update(id, { progress: { share, note: clip(note, 200) } });
  }

  protected savePoint(id: string, savePoint: SavePointRef): void {
    const lease = this.#working(id);
    if (lease === undefined) return;
    const { order } = lease.stored;
    this.update(id, {
      log: appendEntry(lease.log, order, this.now.timeUs, 'savePoint', savePoint),
    });
    // At once: the slot may be taken away at any moment.
    this.sendLog(id);
  }

  protected checkpoints({
    lease: id,
    first,
    items,
  }: Extract<AgentEvent, { kind: 'checkpoints' }>): void {
    const lease = this.#working(id);
    if (lease === undefined) return;
    const data = { first, items: [...items] };
    const { order } = lease.stored;
    this.update(id, {
      log: appendEntry(lease.log, order, this.now.timeUs, 'checkpoints', data),
    });
    // At once: what is anchored while the job runs cannot be thought up afterwards.
    this.sendLog(id);
  }

  protected finished(id: string, outcome: WorkOutcome): void {
    const lease = this.#working(id);
    if (lease === undefined) return;
    const { attempts } = this.agent.config;
    if (outcome.exit === 'crash' && lease.attempt < attempts)
      return this.#retry(id, lease, outcome);
    const { exit, usage, result, error, metered } = outcome;
    const log = appendEntry(lease.log, lease.stored.order, this.now.timeUs, 'finished', {
      ...{ exit, usage },
      ...(result === undefined ? {} : { result }),
      ...(error === undefined ? {} : { error: clip(error, 8_192) }),
      ...(metered && { metered }),
    });
    const delivery = this.#signDelivery({ ...lease, log }, outcome);
    const stored: StoredLease = { ...lease.stored, delivery, entries: [...log.unsaved] };
    const { progress: _over, ...rest } = lease;
    this.agent.leases.set(id, { ...rest, stored, stage: 'saving-delivery', log, delivery });
    this.effects.push({ kind: 'save', what: 'delivery', lease: stored });
  }

  #retry(id: string, lease: AgentLease, { error }: WorkOutcome): void {
    const attempt = lease.attempt + 1;
    const reason = clip(error ?? 'the slot ended', 500);
    const { order } = lease.stored;
    const log = appendEntry(lease.log, order, this.now.timeUs, 'retried', { attempt, reason });
    this.update(id, { log, attempt });
    this.sendLog(id);
    this.effects.push({ kind: 'run', lease: lease.stored, attempt });
  }

  #signDelivery({ stored, log }: AgentLease, outcome: WorkOutcome) {
    const { signer, offer } = this.agent.config;
    const { exit, usage, result, limits, metered } = outcome;
    // What ended by no doing of the guest costs nothing.
    const free = exit === 'crash' || exit === 'refused';
    const delivery: Delivery = {
      ...{ chain: stored.chain, order: stored.order, provider: offer.provider },
      ...{ fence: stored.fence, exit, usage },
      ...(result === undefined ? {} : { result }),
      ...(metered && { metered }),
      charge: free ? 0n : chargeFor(offer, limits, usage, stored.price),
      logLength: log.position.length,
      logHead: log.position.head,
    };
    const signature = signer.sign(DELIVERY_DOMAIN, deliveryBytes(delivery));
    return { delivery, publicKey: signer.publicKey, signature };
  }

  /** The provider cannot or will not: the market binds the order elsewhere. */
  protected handBackJob(id: string, code: string, reason: string): void {
    const lease = this.agent.leases.get(id);
    if (lease === undefined || lease.delivery !== undefined) return;
    // What was logged so far stays true, and the next holder continues behind it.
    this.sendLog(id);
    if (this.agent.link === 'up') this.decline(id, code, reason);
    else this.agent.lost.push(lease.stored);
    this.drop(id);
    this.effects.push({ kind: 'note', level: 'warn', text: `lease ${id} handed back: ${reason}` });
  }

  /** Work that can no longer be delivered in time is given up; a finished delivery is kept a day. */
  protected lateJob(id: string, lease: AgentLease): void {
    if (lease.delivery === undefined)
      this.handBackJob(id, 'PROVIDER_LATE', 'the order’s time is over');
    else if (this.now.timeUs >= lease.stored.completeByUs + DAY_US) this.drop(id);
  }
}
