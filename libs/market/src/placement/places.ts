/** What choosing needs beside rows: who fits, what was learned, who holds which content, who is steady. */
import { FitCache } from './fits.ts';
import { Learned } from './learned.ts';
import { Tenants, type TenantTerms } from './tenants.ts';
import { WaitingOrders } from './waiting.ts';

/** Content ids remembered of one provider; the oldest goes first. */
const CONTENT_MAX = 256;
/** So many losses of leases within some tens of seconds make a provider unsteady. */
const FLAPS_MAX = 4;
const FLAP_HALF_MS = 30_000;
const REST_MS = 5_000;
const REST_MAX_MS = 30_000;

interface Flaps {
  score: number;
  atMs: number;
  restsUntilMs: number;
}

export class Places {
  readonly fits = new FitCache();
  readonly learned = new Learned();
  readonly waiting = new WaitingOrders();
  readonly tenants: Tenants;
  readonly #content = new Map<string, Set<string>>();
  readonly #flaps = new Map<string, Flaps>();

  constructor(terms: readonly TenantTerms[] = []) {
    this.tenants = new Tenants(terms);
  }

  /** The provider read this, so it is likely to hold it. */
  sawContent(provider: string, cids: Iterable<string>): void {
    const held = this.#content.get(provider) ?? new Set();
    for (const cid of cids) {
      held.delete(cid);
      held.add(cid);
      if (held.size > CONTENT_MAX) held.delete(held.values().next().value as string);
    }
    this.#content.set(provider, held);
  }

  holds(provider: string, cid: string): boolean {
    return this.#content.get(provider)?.has(cid) === true;
  }

  /** It went away with work. Returns until when it is left alone, if it does that too often. */
  wentAway(provider: string, nowMs: number): number | undefined {
    const before = this.#flaps.get(provider) ?? { score: 0, atMs: nowMs, restsUntilMs: 0 };
    const score = before.score * 2 ** (-(nowMs - before.atMs) / FLAP_HALF_MS) + 1;
    const over = Math.floor(score - FLAPS_MAX);
    const restMs = Math.min(REST_MAX_MS, REST_MS * 2 ** over);
    const restsUntilMs = over >= 0 ? nowMs + restMs : 0;
    this.#flaps.set(provider, { score, atMs: nowMs, restsUntilMs });
    return over >= 0 ? restsUntilMs : undefined;
  }

  /** It came and went too often a moment ago. */
  isUnsteady(provider: string, nowMs: number): boolean {
    const flaps = this.#flaps.get(provider);
    return flaps !== undefined && flaps.restsUntilMs > nowMs;
  }
}
