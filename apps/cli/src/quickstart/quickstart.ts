/**
 * `seele quickstart`: a newcomer sees one real job bought, run, paid and proved, on real data, in a
 * home that is gone afterwards (or stays, with --keep).
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CommandContext, wholeNumber } from '../frame/command.ts';
import { defaultHome, homeAt } from '../frame/home.ts';
import { formatDuration } from '../frame/table.ts';
import { stopAll } from '../commands/down.ts';
import { startDetached } from '../commands/up.ts';
import { type RunState, liveRunState } from '../supervisor/run-state.ts';
import { buyAndRun } from './buy-and-run.ts';
import { prove } from './prove.ts';
import { type Steps, createSteps } from './steps.ts';

export interface QuickstartOptions {
  readonly keep?: boolean;
  readonly home?: string;
  readonly timeout: string;
  readonly [name: string]: unknown;
}

const STOP_LIMIT_MS = 20_000;

interface Place {
  readonly context: CommandContext;
  /** Made for this run alone: removed afterwards. */
  readonly temporary: boolean;
}

function placeOf(context: CommandContext, options: QuickstartOptions): Place {
  const named = options.home !== undefined || (process.env['SEELE_HOME'] ?? '') !== '';
  if (named)
    return {
      context: { ...context, home: homeAt(options.home ?? defaultHome()) },
      temporary: false,
    };
  const path = mkdtempSync(join(tmpdir(), 'seele-'));
  chmodSync(path, 0o711);
  return { context: { ...context, home: homeAt(path) }, temporary: true };
}

async function start(
  { context, temporary }: Place,
  options: QuickstartOptions,
  timeoutMs: number,
): Promise<{ readonly state: RunState; readonly ours: boolean }> {
  const running = liveRunState(context.home);
  if (running?.phase === 'ready') return { state: running, ours: false };
  // What is temporary must not be in the way of anything: it takes free ports.
  const ports = temporary ? 'auto' : 'default';
  const owner = options.keep ? undefined : process.pid;
  return { state: await startDetached(context, { ports, owner }, timeoutMs), ours: true };
}

export async function quickstart(given: CommandContext, options: QuickstartOptions): Promise<void> {
  const timeoutMs = wholeNumber('--timeout', options.timeout, 5) * 1000;
  const startedMs = performance.now();
  const place = placeOf(given, options);
  const { context, temporary } = place;
  const { output, home } = context;
  const steps = createSteps(context);
  let ours = false;
  let done = false;
  try {
    output.line(output.style('bold', 'Seele quickstart'));
    const started = await steps.run(
      'Start chain, storage, market and four providers',
      async (say) => {
        // Whatever happens from here on, what runs in this home is ours to stop.
        ours = liveRunState(home) === undefined;
        const { state } = await start(place, options, timeoutMs);
        say(`${state.processes.length} processes on 127.0.0.1`);
        return state;
      },
    );
    const bought = await buyAndRun(context, steps, timeoutMs);
    const proof = await prove(context, steps, bought);
    done = true;
    const keep = options.keep === true || !ours;
    const seconds = (performance.now() - startedMs) / 1000;
    const document = {
      seconds: Number(seconds.toFixed(2)),
      ...bought.document,
      ...proof.document,
      steps: steps.timings(),
      ...(keep ? { api: `${started.urls.market}/docs`, home: home.path } : {}),
    };
    output.answer(document, () =>
      sayNext(context, steps, { seconds, keep, state: started, receipt: proof.file, temporary }),
    );
  } finally {
    const keep = done && options.keep === true;
    if (ours && !keep) {
      output.status('stopping …');
      await stopAll(home, STOP_LIMIT_MS);
    }
    if (temporary && !keep) rmSync(home.path, { recursive: true, force: true });
    output.status('');
  }
}

function sayNext(
  { output, home }: CommandContext,
  _steps: Steps,
  facts: {
    readonly seconds: number;
    readonly keep: boolean;
    readonly temporary: boolean;
    readonly state: RunState;
    readonly receipt: string;
  },
): void {
  const at = facts.temporary ? ` --home ${home.path}` : '';
  output.line();
  output.line(output.style('green', `Done in ${formatDuration(facts.seconds * 1000)}.`) + ' Next:');
  if (facts.keep) {
    output.line(`  API       ${facts.state.urls.market}/docs`);
    output.line(`  orders    ./seele job list${at}`);
    output.line(
      `  run yours ./seele run examples/weather/monthly.js --in weather=FILE --tier B --follow${at}`,
    );
    output.line(`  stop      ./seele down${at}`);
    return;
  }
  output.line('  npm run quickstart -- --keep     the same, and everything stays up');
  output.line('  ./seele up                       a development machine of your own');
  output.line('  ./seele --help                   every command, each with an example');
}
