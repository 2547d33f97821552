/** `seele down`: stops what `seele up` started, also when its supervisor is gone. */
import { pause } from '#libs/sdk';
import { cliError } from '../errors.ts';
import { type CommandContext, wholeNumber } from '../frame/command.ts';
import type { Home } from '../frame/home.ts';
import { isAlive, liveRunState, removeRunState } from '../supervisor/run-state.ts';
import { endOrphans } from '../supervisor/supervisor.ts';

/** Stops everything of a home; says how many processes it ended. */
export async function stopAll(home: Home, timeoutMs: number): Promise<number> {
  const state = liveRunState(home);
  if (state) {
    process.kill(state.pid, 'SIGTERM');
    const deadline = performance.now() + timeoutMs;
    while (isAlive(state)) {
      if (performance.now() > deadline) {
        process.kill(state.pid, 'SIGKILL');
        break;
      }
      await pause(40);
    }
    while (isAlive(state)) await pause(20);
  }
  const left = await endOrphans(home);
  removeRunState(home);
  return Math.max(left.length, state?.processes.length ?? 0);
}

export async function down(
  context: CommandContext,
  options: { readonly timeout: string },
): Promise<void> {
  const timeoutMs = wholeNumber('--timeout', options.timeout, 1) * 1000;
  context.output.status('stopping …');
  const stopped = await stopAll(context.home, timeoutMs).catch((error: unknown) => {
    throw cliError('CLI_TIMEOUT', `not everything stopped: ${String(error)}`, { cause: error });
  });
  context.output.answer({ stopped }, () =>
    context.output.line(stopped === 0 ? 'Nothing was running.' : `Stopped ${stopped} processes.`),
  );
}
