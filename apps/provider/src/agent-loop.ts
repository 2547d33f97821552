/** Drives the agent's state machine: gives it events and time, does its effects in order. */
import type { Clock, Randomness } from '#libs/kernel';
import {
  type Agent,
  type AgentConfig,
  type AgentEffect,
  type AgentEvent,
  applyAgentEvent,
  createAgent,
  nextAgentTickMs,
} from '#libs/market';
import { declareFailpoints, failpoint, type Logger } from '#libs/platform';
import type { JobRunner } from './job-runner.ts';
import type { LeaseJournal } from './journal.ts';
import type { UnitRunner } from './unit-runner.ts';
import type { MarketLink } from './market-link.ts';

declareFailpoints(
  'provider.lease.before-save',
  'provider.lease.after-save',
  'provider.delivery.before-save',
  'provider.delivery.after-save',
  'provider.units.before-save',
  'provider.units.after-save',
  'provider.forget.before',
);

export interface AgentLoopOptions {
  readonly config: AgentConfig;
  readonly clock: Clock;
  readonly randomness: Randomness;
  readonly journal: LeaseJournal;
  readonly logger: Logger;
  readonly link: () => MarketLink;
  readonly runner: () => JobRunner;
  readonly units: () => UnitRunner;
  /** The journal failed: only a restart can tell what is on disk. */
  readonly onFatal: (error: unknown) => void;
}

export interface AgentLoop {
  readonly agent: Agent;
  readonly emit: (event: AgentEvent) => void;
  /** Resolves when the agent has nothing left to do. */
  readonly drained: Promise<void>;
}

const TIMER_MAX_MS = 60_000;

export function createAgentLoop(options: AgentLoopOptions): AgentLoop {
  const { clock, journal, link, logger, randomness, runner, units } = options;
  const agent = createAgent(options.config);
  const queue: AgentEvent[] = [];
  let busy = false;
  let timer: NodeJS.Timeout | undefined;
  let resolveDrained: () => void = () => {};
  const drained = new Promise<void>((resolve) => {
    resolveDrained = resolve;
  });

  const save = async ({ lease, what }: Extract<AgentEffect, { kind: 'save' }>): Promise<void> => {
    failpoint(`provider.${what}.before-save`);
    await journal.save(lease);
    failpoint(`provider.${what}.after-save`);
    emit({ kind: 'saved', lease: lease.lease, what });
  };

  const saveUnits = async ({
    units,
    what,
  }: Extract<AgentEffect, { kind: 'saveUnits' }>): Promise<void> => {
    failpoint('provider.units.before-save');
    await journal.saveUnits(units);
    failpoint('provider.units.after-save');
    emit({ kind: 'saved', lease: units.lease, what });
  };

  const perform = (effect: AgentEffect): void => {
    switch (effect.kind) {
      case 'connect':
        return link().connect();
      case 'close':
        return link().close();
      case 'send':
        return link().send(effect.message);
      case 'save':
        return void save(effect).catch(options.onFatal);
      case 'saveUnits':
        return void saveUnits(effect).catch(options.onFatal);
      case 'runUnits':
        return units().run(effect.units);
      case 'forget':
        failpoint('provider.forget.before');
        return void journal.forget(effect.lease).catch(options.onFatal);
      case 'prepare':
        return runner().prepare(effect.lease);
      case 'run':
        return runner().run(effect.lease);
      case 'kill':
        units().kill(effect.lease);
        return runner().kill(effect.lease);
      case 'note':
        return logger[effect.level](effect.text);
      case 'drained':
        return resolveDrained();
    }
  };

  const setTimer = (): void => {
    clearTimeout(timer);
    const next = nextAgentTickMs(agent);
    if (next === undefined) return;
    const wait = Math.min(TIMER_MAX_MS, Math.max(0, next - clock.monotonicMs()));
    timer = setTimeout(() => emit({ kind: 'tick' }), Math.ceil(wait));
  };

  const emit = (event: AgentEvent): void => {
    queue.push(event);
    if (busy) return;
    busy = true;
    try {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        const now = { timeUs: clock.nowUs(), monotonicMs: clock.monotonicMs() };
        for (const effect of applyAgentEvent(agent, next, now, randomness)) perform(effect);
      }
    } finally {
      busy = false;
    }
    setTimer();
  };

  return { agent, emit, drained };
}
