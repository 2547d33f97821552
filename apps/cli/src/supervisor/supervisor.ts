/**
 * Starts the processes of a deployment in order, keeps them running, stops them in reverse order.
 * Everything it knows is in the run state, so that any other command can read it.
 */
import { readFileSync } from 'node:fs';
import { pause } from '#libs/sdk';
import { cliError } from '../errors.ts';
import type { Home } from '../frame/home.ts';
import {
  type ChildStatus,
  type ProcessSpec,
  type SupervisedChild,
  superviseChild,
} from './child.ts';
import {
  type Identity,
  type RunState,
  orphans,
  processStartTicks,
  removeRunState,
  writeRunState,
} from './run-state.ts';

const STOP_GRACE_MS = 6_000;
const START_LIMIT_MS = 90_000;
/** Until a run state that the disk did not take is written again. */
const WRITE_AGAIN_MS = 500;

export interface Plan {
  readonly home: Home;
  /** Groups start one after another; the processes of a group start together. */
  readonly groups: readonly (readonly ProcessSpec[])[];
  readonly facts: Pick<RunState, 'ports' | 'urls' | 'chain'>;
}

export interface Supervisor {
  /** Resolves when every process serves. @throws CLI_START_FAILED */
  start(): Promise<void>;
  stop(): Promise<void>;
  add(spec: ProcessSpec): Promise<void>;
  remove(name: string): Promise<void>;
  readonly processes: readonly ChildStatus[];
}

/** The last line that a process wrote for people: its reason for not starting. */
function lastWords(logFile: string): string {
  try {
    const lines = readFileSync(logFile, 'utf8').trim().split('\n');
    const last = lines.at(-1) ?? '';
    return last.startsWith('{') ? '' : last.slice(0, 500);
  } catch {
    return '';
  }
}

async function endOrphan(identity: Identity, graceMs: number): Promise<void> {
  const alive = () => processStartTicks(identity.pid) === identity.startTicks;
  const signal = (name: 'SIGTERM' | 'SIGKILL') => {
    try {
      if (alive()) process.kill(identity.pid, name);
    } catch {
      // Gone in between.
    }
  };
  signal('SIGTERM');
  for (let waited = 0; alive() && waited < graceMs; waited += 50) await pause(50);
  signal('SIGKILL');
  for (let waited = 0; alive() && waited < 2_000; waited += 50) await pause(50);
}

/** Ends what an earlier supervisor that died left behind. */
export async function endOrphans(home: Home): Promise<string[]> {
  const left = orphans(home);
  await Promise.all(left.map((orphan) => endOrphan(orphan, STOP_GRACE_MS)));
  return left.map(({ name }) => name);
}

export function createSupervisor(
  plan: Plan,
  changed: (state: RunState) => void = () => {},
): Supervisor {
  const { home } = plan;
  const children = new Map<string, { child: SupervisedChild; spec: ProcessSpec }>();
  const startedAt = new Date().toISOString();
  const own: Identity = { pid: process.pid, startTicks: processStartTicks(process.pid) };
  const ticks = new Map<number, string>();
  let phase: RunState['phase'] = 'starting';
  let failure: RunState['error'];
  let wake = () => {};
  let writeAgain: NodeJS.Timeout | undefined;

  /** What serves goes on, and what died is started again, also while the disk is full. */
  const write = (state: RunState) => {
    clearTimeout(writeAgain);
    try {
      writeRunState(home, state);
    } catch (error) {
      if (phase === 'starting') throw error;
      writeAgain = setTimeout(publish, WRITE_AGAIN_MS);
    }
  };

  const publish = () => {
    const processes = [...children.values()].map(({ child: { status } }) => {
      if (status.pid === undefined) return status;
      const known = ticks.get(status.pid) ?? processStartTicks(status.pid);
      ticks.set(status.pid, known);
      return { ...status, startTicks: known };
    });
    const state: RunState = {
      ...own,
      startedAt,
      phase,
      ...(failure && { error: failure }),
      ...plan.facts,
      processes,
    };
    write(state);
    changed(state);
    wake();
  };

  const launch = (spec: ProcessSpec) => {
    const child = superviseChild(spec, publish);
    children.set(spec.name, { child, spec });
    child.start();
    return child;
  };

  /** Waits until all of them serve, or one gave up. */
  const ready = async (group: readonly SupervisedChild[]) => {
    const deadline = performance.now() + START_LIMIT_MS;
    for (;;) {
      const failed = group.find(({ status }) => status.state === 'failed');
      const late = performance.now() > deadline;
      const slow = group.find(({ status }) => status.state !== 'ready');
      if (!slow) return;
      if (failed || late) {
        const { name, reason } = (failed ?? slow).status;
        const log = children.get(name)?.spec.logFile ?? '';
        const why = failed ? (reason ?? 'it ended') : `not ready after ${START_LIMIT_MS / 1000} s`;
        const said = lastWords(log);
        throw cliError('CLI_START_FAILED', `${said || `${name}: ${why}`} (log: ${log})`);
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 500);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  };

  const stop = async () => {
    phase = phase === 'failed' ? 'failed' : 'stopping';
    publish();
    const specs = plan.groups.flat().map(({ name }) => name);
    const late = [...children.keys()].filter((name) => !specs.includes(name));
    for (const group of [late, ...plan.groups.map((g) => g.map(({ name }) => name)).toReversed()])
      await Promise.all(
        group.flatMap((name) => children.get(name)?.child.stop(STOP_GRACE_MS) ?? []),
      );
    clearTimeout(writeAgain);
    if (phase !== 'failed') removeRunState(home);
  };

  return {
    async start() {
      try {
        for (const group of plan.groups) await ready(group.map(launch));
        phase = 'ready';
        publish();
      } catch (error) {
        phase = 'failed';
        const { code = 'CLI_START_FAILED', message } = error as { code?: string; message: string };
        failure = { code, message };
        await stop();
        throw error;
      }
    },
    stop,
    async add(spec) {
      if (children.has(spec.name)) return;
      await ready([launch(spec)]);
    },
    async remove(name) {
      const found = children.get(name);
      if (!found) return;
      await found.child.stop(STOP_GRACE_MS);
      children.delete(name);
      publish();
    },
    get processes() {
      return [...children.values()].map(({ child }) => child.status);
    },
  };
}
