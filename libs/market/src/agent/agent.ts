/**
 * The agent: `(state, event, now, randomness) → effects`, the state kept in the object that
 * `createAgent` returns. What it promises: no work before the lease is on disk; a finished job is
 * delivered until the market has it; a lease that was cancelled, superseded or lost to a restart is
 * dropped with everything that belongs to it; nobody is told of work that was not done.
 */
import { DELIVERY_DOMAIN, type Delivery, deliveryBytes } from '#contracts';
import type { Randomness } from '#libs/kernel';
import type { MarketMessage } from '../agent-protocol.ts';
import type { Now } from '../model/events.ts';
import { chargeFor } from '../pricing.ts';
import { clip } from './agent-outbox.ts';
import { type Agent, agentFreeSlots, hasUnacknowledged, marketTimeUs } from './agent-state.ts';
import { signHello } from './hello.ts';
import { acknowledge, appendEntry, appendLine, startJobLog, unsend } from './job-log.ts';
import { UnitSteps } from './unit-steps.ts';
import type { SavePointRef } from './entries.ts';
import type { AgentEffect, AgentEvent, AgentLease, StoredLease, WorkOutcome } from './model.ts';

type Lease = Extract<MarketMessage, { kind: 'lease' }>;
type Challenge = Extract<MarketMessage, { kind: 'challenge' }>;

/** A connection that is not welcomed by then is given up. */
const GREETING_MS = 10_000;
const US_PER_MS = 1000;

/** One event, its effects in order. Never throws on anything the market may say. */
export function applyAgentEvent(
  agent: Agent,
  event: AgentEvent,
  now: Now,
  randomness: Randomness,
): AgentEffect[] {
  const step = new Step(agent, { ...now, timeUs: marketTimeUs(agent, now) }, randomness);
  step.apply(event);
  return step.effects;
}

class Step extends UnitSteps {
  apply(event: AgentEvent): void {
    switch (event.kind) {
      case 'restored':
        this.restoredUnits(event.units ?? []);
        return this.#restored(event.leases);
      case 'connected':
        if (this.agent.link === 'connecting') this.agent.link = 'greeting';
        return;
      case 'disconnected':
        return this.#disconnected();
      case 'message':
        return this.#message(event.message);
      case 'saved':
        if (!this.savedUnits(event.lease, event.what)) this.#saved(event.lease, event.what);
        return;
      case 'started':
        return this.#started(event);
      case 'line':
        return this.#line(event);
      case 'progress':
        return this.#progress(event.lease, event.share, event.note);
      case 'savePoint':
        return this.#savePoint(event.lease, event.savePoint);
      case 'checkpoints':
        return this.#checkpoints(event);
      case 'finished':
        return this.#finished(event.lease, event.outcome);
      case 'unitsReported':
        return this.unitsReported(event);
      case 'failed':
        if (this.handBackUnits(event.lease, event.code, event.reason)) return;
        return this.#handBack(event.lease, event.code, event.reason);
      case 'drain':
        this.agent.draining = true;
        this.heartbeat();
        return this.endIfDrained();
      case 'stop':
        return this.#stop();
      case 'tick':
        return this.#tick();
    }
  }

  /** The lease while its work runs; anything said about another one comes too late. */
  #working(id: string): AgentLease | undefined {
    const lease = this.agent.leases.get(id);
    return lease?.stage === 'working' ? lease : undefined;
  }

  // ---- connection -----------------------------------------------------------------------------

  #restored(leases: readonly StoredLease[]): void {
    for (const stored of leases) {
      if (stored.delivery === undefined) {
        this.agent.lost.push(stored);
        this.effects.push({ kind: 'forget', lease: stored.lease });
        continue;
      }
      const { logLength, logHead } = stored.delivery.delivery;
      this.agent.leases.set(stored.lease, {
        ...this.#newLease(stored),
        stage: 'delivering',
        log: startJobLog({ length: logLength, head: logHead }, stored.entries),
        delivery: stored.delivery,
      });
    }
    this.#connect();
  }

  #connect(): void {
    this.agent.link = 'connecting';
    this.agent.connectAtMs = this.now.monotonicMs + GREETING_MS;
    this.effects.push({ kind: 'connect' });
  }

  #disconnected(): void {
    const agent = this.agent;
    if (agent.drained) return;
    const { reconnectMs, reconnectMaxMs } = agent.config.times;
    const delay = Math.min(reconnectMaxMs, reconnectMs * 2 ** Math.min(agent.failures, 20));
    agent.failures++;
    agent.link = 'down';
    // Between half and one and a half of it, so that a thousand agents do not come back at once.
    const jitter = 0.5 + (this.randomness.bytes(1)[0] as number) / 256;
    agent.connectAtMs = this.now.monotonicMs + delay * jitter;
    for (const [id, lease] of agent.leases) this.update(id, { log: unsend(lease.log) });
    this.endIfDrained();
  }

  #close(reason: string): void {
    this.effects.push({ kind: 'note', level: 'warn', text: reason }, { kind: 'close', reason });
  }

  #message(message: MarketMessage): void {
    switch (message.kind) {
      case 'challenge':
        return this.#challenged(message);
      case 'welcome':
        return this.#welcomed(message);
      case 'lease':
        return this.#leased(message);
      case 'leaseUnits':
        return this.leasedUnits(message);
      case 'unitsSaved':
        return;
      case 'cancel':
        return this.#cancelled(message.lease, message.reason);
      case 'eventsSaved': {
        const lease = this.agent.leases.get(message.lease);
        if (lease !== undefined)
          this.update(message.lease, { log: acknowledge(lease.log, message.log) });
        return;
      }
      case 'delivered':
        return this.#delivered(message.lease, message.accepted === 'yes', message.reason);
      case 'refuse':
        this.agent.failures = Math.max(this.agent.failures, 5);
        return this.#close(`the market refused: ${message.code}: ${message.reason}`);
    }
  }

  #challenged(challenge: Challenge): void {
    const agent = this.agent;
    if (agent.link !== 'greeting' && agent.link !== 'connecting') return;
    const { signer, offer, chain } = agent.config;
    if (chain !== undefined && chain !== challenge.chain)
      return this.#close(`the market serves chain ${challenge.chain}, not ${chain}`);
    agent.chain = challenge.chain;
    agent.link = 'greeting';
    agent.saidHelloAtMs = this.now.monotonicMs;
    const leases = this.held();
    this.effects.push({
      kind: 'send',
      message: signHello(signer, challenge, offer, leases, agent.draining),
    });
  }

  #welcomed(welcome: Extract<MarketMessage, { kind: 'welcome' }>): void {
    const agent = this.agent;
    if (agent.link !== 'greeting') return;
    const { heartbeatMs } = welcome;
    agent.marketClock = { timeUs: this.#marketTimeUs(welcome), monotonicMs: this.now.monotonicMs };
    agent.link = 'up';
    agent.failures = 0;
    agent.heartbeatMs = Math.max(50, heartbeatMs);
    for (const { lease } of agent.lost.splice(0))
      this.decline(lease, 'PROVIDER_RESTARTED', 'the provider restarted and lost the work');
    for (const [id, lease] of agent.leases) {
      if (lease.stage === 'working') this.send({ kind: 'accept', lease: id });
      this.sendLog(id);
      this.sendDelivery(id);
    }
    this.welcomedUnits();
    this.heartbeat();
  }

  /**
   * What the market's clock says now. It said `timeUs` somewhere between our hello and this welcome, so
   * a clock of ours that agrees with that is as good as any guess: how long each way took nobody knows.
   */
  #marketTimeUs({ timeUs }: { readonly timeUs?: number | undefined }): number {
    const nowUs = this.now.timeUs;
    if (timeUs === undefined) return nowUs;
    const saidHelloUs = nowUs - (this.now.monotonicMs - this.agent.saidHelloAtMs) * US_PER_MS;
    if (timeUs > nowUs) return timeUs;
    return Math.round(nowUs - Math.max(0, saidHelloUs - timeUs));
  }

  // ---- leases ---------------------------------------------------------------------------------

  #newLease(stored: StoredLease): AgentLease {
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

  #leased(message: Lease): void {
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
    agent.leases.set(lease, this.#newLease(stored));
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

  #saved(id: string, what: 'lease' | 'delivery'): void {
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

  #started(event: Extract<AgentEvent, { kind: 'started' }>): void {
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

  #line({ lease: id, level, text }: Extract<AgentEvent, { kind: 'line' }>): void {
    const lease = this.#working(id);
    if (lease === undefined) return;
    const { timeUs, monotonicMs } = this.now;
    const at = { timeUs, flushAtMs: monotonicMs + this.agent.config.times.flushMs };
    this.update(id, { log: appendLine(lease.log, lease.stored.order, at, { level, text }) });
  }

  #progress(id: string, share: number, note: string): void {
    if (this.#working(id) === undefined) return;
    this.update(id, { progress: { share, note: clip(note, 200) } });
  }

  #savePoint(id: string, savePoint: SavePointRef): void {
    const lease = this.#working(id);
    if (lease === undefined) return;
    const { order } = lease.stored;
    this.update(id, {
      log: appendEntry(lease.log, order, this.now.timeUs, 'savePoint', savePoint),
    });
    // At once: the slot may be taken away at any moment.
    this.sendLog(id);
  }

  #checkpoints({ lease: id, first, items }: Extract<AgentEvent, { kind: 'checkpoints' }>): void {
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

  #finished(id: string, outcome: WorkOutcome): void {
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
  #handBack(id: string, code: string, reason: string): void {
    const lease = this.agent.leases.get(id);
    if (lease === undefined || lease.delivery !== undefined) return;
    // What was logged so far stays true, and the next holder continues behind it.
    this.sendLog(id);
    if (this.agent.link === 'up') this.decline(id, code, reason);
    else this.agent.lost.push(lease.stored);
    this.drop(id);
    this.effects.push({ kind: 'note', level: 'warn', text: `lease ${id} handed back: ${reason}` });
  }

  #cancelled(id: string, reason: string): void {
    const isKnown = this.agent.leases.has(id) || this.agent.units.has(id);
    if (!isKnown) return;
    this.effects.push({ kind: 'note', level: 'info', text: `lease ${id} cancelled: ${reason}` });
    if (!this.dropUnits(id)) this.drop(id);
    this.heartbeat();
  }

  #delivered(id: string, accepted: boolean, reason: string | undefined): void {
    const units = this.agent.units.get(id);
    const lease = this.agent.leases.get(id);
    if (lease?.delivery === undefined && !units?.stored.delivery) return;
    if (!accepted) {
      const text = `delivery of lease ${id} was not accepted: ${reason ?? 'no reason given'}`;
      this.effects.push({ kind: 'note', level: 'warn', text });
    }
    if (!this.dropUnits(id)) this.drop(id);
  }

  // ---- time -----------------------------------------------------------------------------------

  #tick(): void {
    const agent = this.agent;
    if (agent.drained) return;
    const { monotonicMs, timeUs } = this.now;
    if (agent.link !== 'up' && monotonicMs >= agent.connectAtMs) {
      if (agent.link === 'down') this.#connect();
      else {
        agent.connectAtMs = monotonicMs + GREETING_MS;
        this.#close('the market did not answer the hello in time');
      }
    }
    // Without a word of the market nobody knows what time it is.
    if (agent.marketClock !== undefined)
      for (const [id, lease] of agent.leases)
        if (timeUs >= lease.stored.completeByUs) this.#late(id, lease);
    this.tickUnits();
    if (agent.link !== 'up') return;
    const { resendMs, progressMs } = agent.config.times;
    for (const [id, lease] of agent.leases) {
      if (lease.progress !== undefined && monotonicMs >= lease.progressSentAtMs + progressMs)
        this.sendProgress(id, lease);
      if (lease.log.flushAtMs !== undefined && monotonicMs >= lease.log.flushAtMs) this.sendLog(id);
      if (hasUnacknowledged(lease) && monotonicMs >= lease.sentAtMs + resendMs) {
        this.update(id, { log: unsend(lease.log) });
        this.sendLog(id);
        this.sendDelivery(id);
      }
    }
    if (monotonicMs >= agent.heartbeatAtMs) this.heartbeat();
  }

  /** Work that can no longer be delivered in time is given up; a finished delivery is kept a day. */
  #late(id: string, lease: AgentLease): void {
    if (lease.delivery === undefined)
      this.#handBack(id, 'PROVIDER_LATE', 'the order’s time is over');
    else if (this.now.timeUs >= lease.stored.completeByUs + 86_400_000_000) this.drop(id);
  }

  #stop(): void {
    this.agent.draining = true;
    for (const [id, lease] of this.agent.leases)
      if (lease.delivery === undefined)
        this.#handBack(id, 'PROVIDER_STOPPING', 'the provider is being stopped');
    for (const id of this.agent.units.keys())
      this.handBackUnits(id, 'PROVIDER_STOPPING', 'the provider is being stopped');
    this.end();
  }
}
