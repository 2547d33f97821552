/** `seele up`: every process of a development machine, watched by a supervisor of their own. */
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pause } from '#libs/sdk';
import { cliError } from '../errors.ts';
import { type CommandContext, wholeNumber } from '../frame/command.ts';
import type { Home } from '../frame/home.ts';
import { prepareHome } from '../frame/prepare-home.ts';
import type { Json } from '../frame/output.ts';
import { tableLines } from '../frame/table.ts';
import { choosePorts } from '../supervisor/ports.ts';
import { type RunState, isAlive, lastRunState, liveRunState } from '../supervisor/run-state.ts';
import { runSupervisor } from '../supervisor/run-supervisor.ts';
import { endOrphans } from '../supervisor/supervisor.ts';

export interface UpOptions {
  readonly ports: string;
  readonly foreground?: boolean;
  readonly supervise?: boolean;
  readonly solo?: boolean;
  readonly timeout: string;
  readonly owner?: string;
  readonly [name: string]: unknown;
}

function document(state: RunState, already: boolean): Json {
  return {
    alreadyUp: already,
    chain: state.chain,
    urls: { ...state.urls, docs: `${state.urls.market}/docs` },
    processes: state.processes.map(({ name, pid, url, restarts, state: is }) => ({
      name,
      state: is,
      pid,
      url,
      restarts,
    })),
  };
}

function show({ output, home }: CommandContext, state: RunState): void {
  const rows = state.processes.map(({ name, state: is, pid, url }) => [
    name,
    is,
    String(pid ?? ''),
    url ?? '',
  ]);
  for (const line of tableLines(['process', 'state', 'pid', 'address'], rows)) output.line(line);
  output.line();
  output.line(`  API  ${state.urls.market}/docs`);
  output.line(`  home ${home.path} (logs in logs/)`);
}

function progress(state: RunState | undefined): string {
  if (!state) return 'starting …';
  const ready = state.processes.filter((process) => process.state === 'ready').length;
  const waiting = state.processes.filter((process) => process.state !== 'ready');
  return `${ready} ready; waiting for ${waiting.map(({ name }) => name).join(', ')} …`;
}

export interface StartChoice {
  readonly ports: 'default' | 'auto';
  /** A new chain is to have one sequencer instead of four validators. */
  readonly isSolo?: boolean;
  /** Stop when this process is gone. */
  readonly owner?: number | undefined;
}

/** Starts the supervisor as a process that outlives us. */
function detach(home: Home, { ports, isSolo, owner }: StartChoice): number {
  const log = openSync(join(home.logs, 'supervisor.log'), 'a', 0o600);
  const main = process.argv[1] as string;
  const args = [main, 'up', '--supervise', '--ports', ports, '--home', home.path];
  if (isSolo) args.push('--solo');
  if (owner !== undefined) args.push('--owner', String(owner));
  const child = spawn(process.execPath, args, {
    detached: true,
    stdio: ['ignore', log, log],
    cwd: '/',
  });
  closeSync(log);
  child.unref();
  if (child.pid === undefined) throw cliError('CLI_START_FAILED', 'the supervisor did not start');
  return child.pid;
}

function lastLine(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim().split('\n').at(-1) ?? '';
  } catch {
    return '';
  }
}

/**
 * Starts everything and waits until it serves.
 * @throws CLI_START_FAILED, CLI_TIMEOUT, CLI_HOME
 */
export async function startDetached(
  context: CommandContext,
  choice: StartChoice,
  timeoutMs: number,
): Promise<RunState> {
  const { home, output, signal } = context;
  prepareHome(home);
  const left = await endOrphans(home);
  if (left.length > 0) output.note(`ended what an earlier run left behind: ${left.join(', ')}`);
  // Found here, an occupied port is one clear line instead of a log entry.
  if (choice.ports === 'default') await choosePorts('default');
  const before = lastRunState(home)?.startedAt;
  const pid = detach(home, choice);
  const deadline = performance.now() + timeoutMs;
  while (performance.now() < deadline && !signal.aborted) {
    await pause(60);
    const state = lastRunState(home);
    const current = state && state.pid === pid ? state : undefined;
    if (current?.phase === 'ready') return current;
    if (current?.phase === 'failed' && !isAlive(current))
      throw cliError('CLI_START_FAILED', current.error?.message ?? 'a process did not start');
    if (!current && !isPid(pid) && lastRunState(home)?.startedAt === before)
      throw cliError(
        'CLI_START_FAILED',
        `supervisor: ${lastLine(join(home.logs, 'supervisor.log'))}`,
      );
    output.status(progress(current));
  }
  if (signal.aborted) throw cliError('CLI_INTERRUPTED', 'stopped while starting');
  throw cliError('CLI_TIMEOUT', `not everything was ready within ${timeoutMs / 1000} s`);
}

function isPid(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

export async function up(context: CommandContext, options: UpOptions): Promise<void> {
  const { home, output } = context;
  if (options.ports !== 'default' && options.ports !== 'auto')
    throw cliError('CLI_USAGE', `--ports is "default" or "auto", not "${options.ports}"`);
  const timeoutMs = wholeNumber('--timeout', options.timeout, 1) * 1000;
  const running = liveRunState(home);
  if (options.supervise || options.foreground) {
    if (running && running.phase === 'ready')
      throw cliError('CLI_START_FAILED', `it is already up (supervisor ${running.pid})`);
    return runSupervisor(context, options.ports, options.solo === true, options.owner);
  }
  const state = running?.phase === 'ready' ? running : undefined;
  const choice: StartChoice = { ports: options.ports, isSolo: options.solo === true };
  const started = state ?? (await startDetached(context, choice, timeoutMs));
  output.answer(document(started, state !== undefined), () => {
    output.line(state ? 'Already up.' : output.style('green', 'Up.'));
    show(context, started);
    if (!state) output.line('  next seele run examples/weather/monthly.js --help, or seele down');
  });
}
