import type { LoggerService } from '@nestjs/common';
import type { Logger } from '../logger.ts';

/** Nest's own messages, in our log; its start-up chatter is only shown at debug level. */
export function createNestLogger(logger: Logger): LoggerService {
  const words = (message: unknown): string =>
    typeof message === 'string' ? message : message instanceof Error ? message.message : 'nest';
  return {
    log: (message: unknown, context?: unknown) => logger.debug({ context }, words(message)),
    warn: (message: unknown, context?: unknown) => logger.warn({ context }, words(message)),
    // Nest logs what it also throws; whoever catches that says it once, in our words.
    error: (message: unknown, ...rest: unknown[]) => logger.debug({ rest }, words(message)),
    fatal: (message: unknown, ...rest: unknown[]) => logger.fatal({ rest }, words(message)),
    debug: (message: unknown, context?: unknown) => logger.trace({ context }, words(message)),
    verbose: (message: unknown, context?: unknown) => logger.trace({ context }, words(message)),
  };
}
