/**
 * The supervisor as a process: starts everything, stays, follows `providers.json` on SIGHUP, stops
 * everything on SIGTERM.
 */
import { writeSync } from 'node:fs';
import type { CommandContext } from '../frame/command.ts';
import { prepareHome } from '../frame/prepare-home.ts';
import { prepareDeployment, readProfiles } from './deployment.ts';
import { choosePorts } from './ports.ts';
import { planOf, providerProcess, providerSpec, urlsOf } from './processes.ts';
import { type RunState, processStartTicks } from './run-state.ts';
import { type Supervisor, createSupervisor, endOrphans } from './supervisor.ts';

const OWNER_CHECK_MS = 1_000;

/** A line that a full disk does not take is missing in the log, and that is all. */
function say(text: string): void {
  try {
    writeSync(process.stderr.fd, `${text}\n`);
  } catch {
    // A stream would end the supervisor here, and with it what keeps the machine running.
  }
}

/** Prints every change of a process on stderr, for the log or the person in front of it. */
function teller(context: CommandContext): (state: RunState) => void {
  const told = new Map<string, string>();
  return ({ processes }) => {
    for (const { name, state, url, reason, restarts } of processes) {
      const words = [
        state,
        state === 'ready' ? url : reason,
        restarts > 0 ? `restarts ${restarts}` : '',
      ]
        .filter(Boolean)
        .join(' ');
      if (told.get(name) === words) continue;
      told.set(name, words);
      context.output.status('');
      say(`${new Date().toISOString()} ${name} ${words}`);
    }
  };
}

export async function runSupervisor(
  context: CommandContext,
  portChoice: 'default' | 'auto',
  isSolo: boolean,
  owner?: string,
): Promise<void> {
  const { home, output } = context;
  const signal = owner === undefined ? context.signal : untilGone(Number(owner), context.signal);
  prepareHome(home);
  await endOrphans(home);
  const ports = await choosePorts(portChoice);
  const deployment = prepareDeployment(home, ports, isSolo);
  const plan = {
    home,
    groups: planOf(deployment),
    facts: { ports, urls: urlsOf(ports), chain: deployment.chain },
  };
  const supervisor = createSupervisor(plan, teller(context));
  const reconcile = () => void reconcileProviders(context, supervisor, deployment);
  process.on('SIGHUP', reconcile);
  const stopped = new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve());
  });
  const starting = supervisor.start();
  starting.catch(() => {});
  await Promise.race([starting, stopped]);
  if (!signal.aborted) {
    output.line(`ready ${plan.facts.urls.market}`);
    await stopped;
  }
  await supervisor.stop();
  process.exitCode = 0;
}

/** Also ends when the process that started us is gone, however it went. */
function untilGone(owner: number, signal: AbortSignal): AbortSignal {
  const controller = new AbortController();
  const ticks = processStartTicks(owner);
  const timer = setInterval(() => {
    if (ticks === '' || processStartTicks(owner) !== ticks) controller.abort();
  }, OWNER_CHECK_MS);
  timer.unref();
  return AbortSignal.any([signal, controller.signal]);
}

async function reconcileProviders(
  context: CommandContext,
  supervisor: Supervisor,
  deployment: ReturnType<typeof prepareDeployment>,
): Promise<void> {
  const wanted = readProfiles(deployment.home);
  const names = new Set(wanted.map(({ name }) => providerProcess(name)));
  try {
    for (const { name } of supervisor.processes)
      if (name.startsWith('provider-') && !names.has(name)) await supervisor.remove(name);
    for (const profile of wanted) await supervisor.add(providerSpec(deployment, profile));
  } catch (error) {
    context.output.note(String(error));
  }
}
