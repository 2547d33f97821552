/** Node's timers behind the port. */
import type { Clock } from '#libs/kernel';
import type { Timers } from './wire.ts';

/** Timers that do not keep the process alive. */
export function createNodeTimers(clock: Clock): Timers {
  return {
    nowMs: () => clock.monotonicMs(),
    after(ms, action) {
      const timer = setTimeout(action, ms);
      timer.unref();
      return () => clearTimeout(timer);
    },
    soon: (action) => void setImmediate(action),
  };
}
