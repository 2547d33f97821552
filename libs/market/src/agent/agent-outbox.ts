/** What the agent says and drops: the part of a step that only adds effects. */
import type { Randomness } from '#libs/kernel';
import type { AgentMessage } from '../agent-protocol.ts';
import type { Now } from '../model/events.ts';
import { type Agent, agentFreeSlots } from './agent-state.ts';
import { appendEntry, flushLines, takeBatches } from './job-log.ts';
import type { AgentEffect, AgentLease } from './model.ts';

/** Shortened to what the wire takes, and never with half a character at its end. */
export const clip = (value: string, maxLength: number): string =>
  value.slice(0, maxLength).toWellFormed();

export class AgentOutbox {
  readonly effects: AgentEffect[] = [];
  protected readonly agent: Agent;
  protected readonly now: Now;
  protected readonly randomness: Randomness;

  constructor(agent: Agent, now: Now, randomness: Randomness) {
    this.agent = agent;
    this.now = now;
    this.randomness = randomness;
  }

  protected send(message: AgentMessage): void {
    if (this.agent.link === 'up') this.effects.push({ kind: 'send', message });
  }

  protected update(id: string, change: Partial<AgentLease>): void {
    const lease = this.agent.leases.get(id);
    if (lease !== undefined) this.agent.leases.set(id, { ...lease, ...change });
  }

  protected sendLog(id: string): void {
    const lease = this.agent.leases.get(id);
    if (lease === undefined || lease.stage === 'saving' || this.agent.link !== 'up') return;
    const flushed = flushLines(lease.log, lease.stored.order, this.now.timeUs);
    const { log, batches } = takeBatches(flushed, this.agent.config.signer);
    this.update(id, { log, sentAtMs: this.now.monotonicMs });
    for (const batch of batches) this.send({ kind: 'events', lease: id, batch });
  }

  protected sendDelivery(id: string): void {
    const lease = this.agent.leases.get(id);
    if (lease?.stage !== 'delivering' || lease.delivery === undefined) return;
    this.update(id, { sentAtMs: this.now.monotonicMs });
    this.send({ kind: 'deliver', lease: id, delivery: lease.delivery });
  }

  protected sendProgress(id: string, lease: AgentLease): void {
    const { progress, ...rest } = lease;
    if (progress === undefined) return;
    const { monotonicMs, timeUs } = this.now;
    const { progressMs } = this.agent.config.times;
    const { order } = lease.stored;
    const isDue = monotonicMs - lease.progressLoggedAtMs >= 10 * progressMs;
    this.agent.leases.set(id, {
      ...rest,
      log: isDue ? appendEntry(lease.log, order, timeUs, 'progress', progress) : lease.log,
      progressLoggedAtMs: isDue ? monotonicMs : lease.progressLoggedAtMs,
      progressSentAtMs: monotonicMs,
    });
    this.send({ kind: 'progress', lease: id, ...progress });
    if (isDue) this.sendLog(id);
  }

  /** Leases that are on disk; of another one the market must not think that it is worked on. */
  protected held(): { readonly lease: string; readonly fence: number }[] {
    return [...this.agent.leases.values(), ...this.agent.units.values()]
      .filter(({ stage }) => stage !== 'saving')
      .map(({ stored: { lease, fence } }) => ({ lease, fence }));
  }

  protected heartbeat(): void {
    const agent = this.agent;
    agent.heartbeatAtMs = this.now.monotonicMs + agent.heartbeatMs;
    const leases = this.held().map(({ lease }) => lease);
    const draining = agent.draining ? { draining: true } : {};
    this.send({ kind: 'heartbeat', freeSlots: agentFreeSlots(agent), leases, ...draining });
  }

  protected decline(lease: string, code: string, reason: string): void {
    this.send({ kind: 'decline', lease, code, reason: clip(reason, 500) });
  }

  protected drop(id: string): void {
    const lease = this.agent.leases.get(id);
    if (lease === undefined) return;
    this.agent.leases.delete(id);
    if (lease.stage === 'working' || lease.stage === 'saving')
      this.effects.push({ kind: 'kill', lease: id });
    this.effects.push({ kind: 'forget', lease: id });
    this.endIfDrained();
  }

  protected endIfDrained(): void {
    const { draining, leases, units } = this.agent;
    if (draining && leases.size === 0 && units.size === 0) this.end();
  }

  protected end(): void {
    if (this.agent.drained) return;
    this.agent.drained = true;
    this.effects.push({ kind: 'drained' });
  }
}
