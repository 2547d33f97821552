/**
 * What read-only calls may cost the thread that also executes blocks. Their fuel is known only
 * afterwards, so a client goes into debt and waits until it is paid off.
 */
import { createRateLimiter, platformError, retryAfterSeconds } from '#libs/platform';

/** At the dearest 0.33 ns per fuel: a tenth of a core for one client, a third for all together. */
const CLIENT_FUEL_PER_SECOND = 300_000_000;
const ALL_FUEL_PER_SECOND = 1_000_000_000;
/** Seconds of budget that can be saved up. */
const BURST_SECONDS = 3;
/** A call that costs nothing in the engine still costs its handling. */
const LEAST_FUEL = 500_000;
const EVERYBODY = '*';

export interface ViewBudget {
  /** @throws HTTP_RATE_LIMITED while the client, or all of them together, are in debt */
  check(client: string, nowMs: number): void;
  charge(client: string, nowMs: number, fuelUsed: bigint): void;
}

export function createViewBudget(): ViewBudget {
  const limiter = (perSecond: number) =>
    createRateLimiter({ perSecond, burst: perSecond * BURST_SECONDS });
  const clients = limiter(CLIENT_FUEL_PER_SECOND);
  const all = limiter(ALL_FUEL_PER_SECOND);
  return {
    check: (client, nowMs) => {
      const waitMs = Math.max(clients.charge(client, nowMs, 0), all.charge(EVERYBODY, nowMs, 0));
      if (waitMs === 0) return;
      throw platformError(
        'HTTP_RATE_LIMITED',
        `read-only calls used more than ${CLIENT_FUEL_PER_SECOND} fuel per second`,
        { detail: { retryAfterSeconds: retryAfterSeconds(waitMs, 0) } },
      );
    },
    charge: (client, nowMs, fuelUsed) => {
      const cost = Math.max(LEAST_FUEL, Number(fuelUsed));
      clients.charge(client, nowMs, cost);
      all.charge(EVERYBODY, nowMs, cost);
    },
  };
}
