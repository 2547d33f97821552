/** How often agents of a level speak, and how long their silence is borne. */
import type { ProviderOffer } from './agent-protocol.ts';
import type { MarketTimes } from './model/config.ts';

export interface Pace {
  readonly heartbeatMs: number;
  readonly leaseMs: number;
}

/** The fast level promises a quick takeover, so its agents speak more often; none speaks less often. */
export function paceOf(times: MarketTimes, level: ProviderOffer['level']): Pace {
  const { heartbeatMs, leaseMs, fastHeartbeatMs, fastLeaseMs } = times;
  if (level !== 'fast') return { heartbeatMs, leaseMs };
  return {
    heartbeatMs: Math.min(heartbeatMs, fastHeartbeatMs),
    leaseMs: Math.min(leaseMs, fastLeaseMs),
  };
}
