/** The agent's steps about batches of units; see `unit-leases.ts`. */
import type { MarketMessage } from '../agent-protocol.ts';
import { AgentOutbox } from './agent-outbox.ts';
import { agentFreeSlots } from './agent-state.ts';
import type { AgentEvent } from './model.ts';
import { type AgentUnits, type StoredUnits, signUnits, storedUnitsOf } from './unit-leases.ts';

const DAY_US = 86_400_000_000;

export class UnitSteps extends AgentOutbox {
  /** What a restart left behind: what is on disk as done is told; the rest is not there any more. */
  protected restoredUnits(units: readonly StoredUnits[]): void {
    for (const stored of units) {
      if (stored.delivery === undefined) {
        this.agent.lostUnits.push(stored.lease);
        this.effects.push({ kind: 'forget', lease: stored.lease });
        continue;
      }
      const entry = { stored: { ...stored, isLast: true }, sentAtMs: -Infinity, isTold: false };
      this.agent.units.set(stored.lease, { ...entry, stage: 'delivering' });
    }
  }

  protected leasedUnits(message: Extract<MarketMessage, { kind: 'leaseUnits' }>): void {
    const { agent } = this;
    if (agent.link !== 'up') return;
    const { lease, completeByUs } = message;
    const known = agent.units.get(lease);
    if (known) {
      if (known.stage === 'working') this.send({ kind: 'accept', lease });
      return this.tellUnits(lease);
    }
    if (agent.draining)
      return this.decline(lease, 'PROVIDER_DRAINING', 'the provider takes no more work');
    if (agentFreeSlots(agent) === 0) return this.decline(lease, 'PROVIDER_BUSY', 'no slot is free');
    if (completeByUs <= this.now.timeUs)
      return this.decline(lease, 'PROVIDER_LATE', 'the order’s time is over');
    const stored = storedUnitsOf(message, agent.chain as string);
    const entry = { stored, sentAtMs: this.now.monotonicMs, isTold: false };
    agent.units.set(lease, { ...entry, stage: 'saving' });
    this.effects.push({ kind: 'saveUnits', what: 'lease', units: stored });
  }

  /** @returns false when the lease is none of a batch */
  protected savedUnits(lease: string, what: 'lease' | 'delivery'): boolean {
    const units = this.agent.units.get(lease);
    if (!units) return false;
    if (what === 'lease' && units.stage === 'saving') {
      this.agent.units.set(lease, { ...units, stage: 'working' });
      this.send({ kind: 'accept', lease });
      this.effects.push({ kind: 'runUnits', units: units.stored });
    }
    if (what === 'delivery' && units.stage !== 'saving') {
      const stage = units.stored.isLast === true ? 'delivering' : 'working';
      this.agent.units.set(lease, { ...units, stage, isTold: false });
      this.tellUnits(lease);
      // Its slot is free again: the market hears of it with the same breath.
      if (stage === 'delivering') this.heartbeat();
    }
    return true;
  }

  /** Units ended. What was told before is part of it. */
  protected unitsReported(event: Extract<AgentEvent, { kind: 'unitsReported' }>): void {
    const units = this.agent.units.get(event.lease);
    if (units?.stage !== 'working' || event.report.results.length === 0) return;
    const { delivery, leaves } = signUnits(this.agent.config, units.stored, event.report);
    const { isLast } = event.report;
    const stored: StoredUnits = { ...units.stored, delivery, leaves, isLast };
    const stage = isLast ? 'saving-delivery' : 'working';
    this.agent.units.set(event.lease, { ...units, stored, stage });
    this.effects.push({ kind: 'saveUnits', what: 'delivery', units: stored });
  }

  /** Sends what is on disk of a batch. */
  protected tellUnits(lease: string): void {
    const units = this.agent.units.get(lease);
    const { delivery, leaves, isLast = false } = units?.stored ?? {};
    if (!units || !delivery || !leaves || units.stage === 'saving-delivery') return;
    this.agent.units.set(lease, { ...units, sentAtMs: this.now.monotonicMs, isTold: true });
    this.send({ kind: 'deliverUnits', lease, delivery, leaves, isLast });
  }

  /** The market welcomed us: all it may not have heard. */
  protected welcomedUnits(): void {
    for (const lease of this.agent.lostUnits.splice(0))
      this.decline(lease, 'PROVIDER_RESTARTED', 'the provider restarted and lost the work');
    for (const [lease, { stage }] of this.agent.units) {
      if (stage === 'working') this.send({ kind: 'accept', lease });
      this.tellUnits(lease);
    }
  }

  /** @returns false when the lease is none of a batch */
  protected handBackUnits(lease: string, code: string, reason: string): boolean {
    const units = this.agent.units.get(lease);
    if (!units) return false;
    if (units.stage === 'delivering' || units.stage === 'saving-delivery') return true;
    if (units.stored.delivery) {
      // What is done of it counts; the rest goes back with the same message.
      const stored: StoredUnits = { ...units.stored, isLast: true };
      this.effects.push(
        { kind: 'kill', lease },
        { kind: 'saveUnits', what: 'delivery', units: stored },
      );
      this.agent.units.set(lease, { ...units, stored, stage: 'saving-delivery' });
      return true;
    }
    if (this.agent.link === 'up') this.decline(lease, code, reason);
    else this.agent.lostUnits.push(lease);
    this.dropUnits(lease);
    return true;
  }

  /** @returns false when the lease is none of a batch */
  protected dropUnits(lease: string): boolean {
    const units = this.agent.units.get(lease);
    if (!units) return false;
    this.agent.units.delete(lease);
    if (units.stage === 'working' || units.stage === 'saving')
      this.effects.push({ kind: 'kill', lease });
    this.effects.push({ kind: 'forget', lease });
    this.endIfDrained();
    return true;
  }

  protected tickUnits(): void {
    const { monotonicMs, timeUs } = this.now;
    for (const [lease, units] of this.agent.units) {
      const { stored, stage, sentAtMs } = units;
      if (this.agent.marketClock !== undefined && timeUs >= stored.completeByUs) {
        if (stage === 'working')
          this.handBackUnits(lease, 'PROVIDER_LATE', 'the order’s time is over');
        else if (timeUs >= stored.completeByUs + DAY_US) this.dropUnits(lease);
      }
      if (this.agent.link !== 'up') continue;
      if (isUntold(units) && monotonicMs >= sentAtMs + this.agent.config.times.resendMs)
        this.tellUnits(lease);
    }
  }
}

/** The market has not said that it has the last delivery. */
export const isUntold = ({ stage }: AgentUnits): boolean => stage === 'delivering';
