/**
 * The agent: `(state, event, now, randomness) → effects`, the state kept in the object that
 * `createAgent` returns. What it promises: no work before the lease is on disk; a finished job is
 * delivered until the market has it; a lease that was cancelled, superseded or lost to a restart is
 * dropped with everything that belongs to it; nobody is told of work that was not done.
 */
import type { Randomness } from '#libs/kernel';
import type { MarketMessage } from '../agent-protocol.ts';
import type { Now } from '../model/events.ts';
import { type Agent, hasUnacknowledged, marketTimeUs } from './agent-state.ts';
import { signHello } from './hello.ts';
import { acknowledge, startJobLog, unsend } from './job-log.ts';
import { JobSteps } from './job-steps.ts';
import type { AgentEffect, AgentEvent, StoredLease } from './model.ts';

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

class Step extends JobSteps {
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
        if (!this.savedUnits(event.lease, event.what)) this.savedJob(event.lease, event.what);
        return;
      case 'started':
        return this.started(event);
      case 'line':
        return this.line(event);
      case 'progress':
        return this.progress(event.lease, event.share, event.note);
      case 'savePoint':
        return this.savePoint(event.lease, event.savePoint);
      case 'checkpoints':
        return this.checkpoints(event);
      case 'finished':
        return this.finished(event.lease, event.outcome);
      case 'unitsReported':
        return this.unitsReported(event);
      case 'failed':
        if (this.handBackUnits(event.lease, event.code, event.reason)) return;
        return this.handBackJob(event.lease, event.code, event.reason);
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
        ...this.newLease(stored),
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
        return this.leasedJob(message);
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
        if (timeUs >= lease.stored.completeByUs) this.lateJob(id, lease);
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

  #stop(): void {
    this.agent.draining = true;
    for (const [id, lease] of this.agent.leases)
      if (lease.delivery === undefined)
        this.handBackJob(id, 'PROVIDER_STOPPING', 'the provider is being stopped');
    for (const id of this.agent.units.keys())
      this.handBackUnits(id, 'PROVIDER_STOPPING', 'the provider is being stopped');
    this.end();
  }
}
