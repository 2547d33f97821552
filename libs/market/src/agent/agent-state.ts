/** What an agent remembers, and what follows from it: when it wants to be woken, how many slots are free. */
import type { Now } from '../model/events.ts';
import type { AgentConfig, AgentLease, StoredLease } from './model.ts';
import type { AgentUnits } from './unit-leases.ts';

export interface Agent {
  readonly config: AgentConfig;
  readonly leases: Map<string, AgentLease>;
  /** Batches of units. */
  readonly units: Map<string, AgentUnits>;
  link: 'down' | 'connecting' | 'greeting' | 'up';
  chain: string | undefined;
  heartbeatMs: number;
  /** The market's clock at its last welcome; from there our monotonic clock goes on. */
  marketClock: Now | undefined;
  /** Monotonic: when the last hello went out. */
  saidHelloAtMs: number;
  heartbeatAtMs: number;
  /** When to connect again or, while a connection is being made, when to give it up. */
  connectAtMs: number;
  failures: number;
  draining: boolean;
  drained: boolean;
  /** Leases that a restart lost; handed back at the next welcome. */
  lost: StoredLease[];
  /** Batches that a restart lost. */
  lostUnits: string[];
}

/** Not started yet: its first event is `restored`. */
export function createAgent(config: AgentConfig): Agent {
  return {
    config,
    leases: new Map(),
    units: new Map(),
    link: 'down',
    chain: config.chain,
    heartbeatMs: 5_000,
    marketClock: undefined,
    saidHelloAtMs: 0,
    heartbeatAtMs: 0,
    connectAtMs: 0,
    failures: 0,
    draining: false,
    drained: false,
    lost: [],
    lostUnits: [],
  };
}

/** What time the market has: orders are dated by its clock, and ours may be off by hours or jump. */
export function marketTimeUs({ marketClock }: Agent, now: Now): number {
  if (marketClock === undefined) return now.timeUs;
  return marketClock.timeUs + Math.round((now.monotonicMs - marketClock.monotonicMs) * 1000);
}

/** When `tick` has to come at the latest, monotonic milliseconds. */
export function nextAgentTickMs(agent: Agent): number | undefined {
  if (agent.drained) return undefined;
  if (agent.link !== 'up') return agent.connectAtMs;
  let next = agent.heartbeatAtMs;
  const { resendMs, progressMs } = agent.config.times;
  for (const lease of agent.leases.values()) {
    if (lease.log.flushAtMs !== undefined) next = Math.min(next, lease.log.flushAtMs);
    if (lease.progress !== undefined) next = Math.min(next, lease.progressSentAtMs + progressMs);
    if (hasUnacknowledged(lease)) next = Math.min(next, lease.sentAtMs + resendMs);
  }
  for (const { stage, sentAtMs } of agent.units.values())
    if (stage === 'delivering') next = Math.min(next, sentAtMs + resendMs);
  return next;
}

export const hasUnacknowledged = ({ stage, log }: AgentLease): boolean =>
  stage === 'delivering' || (log.unsaved.length > 0 && stage !== 'saving');

export const agentFreeSlots = (agent: Agent): number => {
  let used = 0;
  for (const { stage } of agent.leases.values())
    if (stage === 'saving' || stage === 'working') used++;
  for (const { stage } of agent.units.values())
    if (stage === 'saving' || stage === 'working') used++;
  return agent.draining ? 0 : Math.max(0, agent.config.offer.slots - used);
};
