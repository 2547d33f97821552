/** The work of leases while it goes on: begun, killed, and what fails in it told to the market. */
import type { AgentEvent } from '#libs/market';
import type { Logger } from '#libs/platform';
import { codeOf, messageOf } from './job-content.ts';

export interface WorkUnderWay {
  /** Begins the work of a lease, instead of what goes on under it already. */
  begin(lease: string, work: (signal: AbortSignal) => Promise<void>): void;
  kill(lease: string): void;
  killAll(): void;
}

export function createWorkUnderWay(options: {
  readonly logger: Logger;
  readonly emit: (event: AgentEvent) => void;
}): WorkUnderWay {
  const { emit, logger } = options;
  const running = new Map<string, AbortController>();

  const run = async (
    lease: string,
    controller: AbortController,
    work: (signal: AbortSignal) => Promise<void>,
  ): Promise<void> => {
    try {
      await work(controller.signal);
    } catch (error) {
      if (controller.signal.aborted) return;
      logger.warn({ err: error, lease }, 'the work could not be done here');
      emit({ kind: 'failed', lease, code: codeOf(error), reason: messageOf(error) });
    } finally {
      if (running.get(lease) === controller) running.delete(lease);
    }
  };

  return {
    begin: (lease, work) => {
      running.get(lease)?.abort();
      const controller = new AbortController();
      running.set(lease, controller);
      void run(lease, controller, work);
    },
    kill: (lease) => {
      running.get(lease)?.abort();
      running.delete(lease);
    },
    killAll: () => {
      for (const controller of running.values()) controller.abort();
      running.clear();
    },
  };
}
