/** `seele sim scheduler`: replays a recorded workload in a process of its own. */
import { cliError } from '../errors.ts';
import type { CommandContext } from '../frame/command.ts';
import { runBuilt } from './bench.ts';

const PASSED_ON = [
  ...['nodes', 'tasks', 'policy', 'seed', 'seeds', 'inflation', 'arrivals', 'ranks'],
];

export async function simScheduler(
  context: CommandContext,
  options: Readonly<Record<string, unknown>>,
): Promise<void> {
  const { output } = context;
  const args = PASSED_ON.flatMap((name) => {
    const value = options[name];
    return typeof value === 'string' ? [`--${name}`, value] : [];
  });
  if (output.json) args.push('--json');
  output.status('simulating …');
  const { code, stdout } = await runBuilt(context, 'test/simulation/scheduler/main.js', args);
  output.status('');
  if (code !== 0) throw cliError('CLI_CHECK_FAILED', `the simulation ended with exit code ${code}`);
  process.stdout.write(stdout);
}
