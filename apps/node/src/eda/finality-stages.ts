/**
 * Where the time to finality goes, seen at this validator's own blocks: one histogram per stage, so that
 * an operator sees whether transactions wait for a block, for the network, for agreement, for votes, for
 * execution or for the disk.
 */
import type { Metrics } from '#libs/platform';

/** In the order in which a block passes them; each is the time since the one before. */
export const FINALITY_STAGES = [
  /** From the first transaction that waited until a block of this node had it. */
  'in-block',
  /** Until validators of weight Q hold the block. */
  'available',
  /** Until this node counts its position as agreed on. */
  'agreed',
  /** Until a cut that lists it is final. */
  'decided',
  /** Until this node has executed the cut. */
  'executed',
  /** Until weight Q signed the result and it lies on disk: then waiting requests are answered. */
  'stored',
] as const;

export type FinalityStage = (typeof FINALITY_STAGES)[number];

/** Own blocks followed at a time; an author has at most eight unordered ones. */
const FOLLOWED_MAX = 32;

interface Followed {
  stage: number;
  sinceMs: number;
  slot?: number;
}

export type ObserveStage = (stage: FinalityStage, seconds: number) => void;

export function observeStages(metrics: Metrics): ObserveStage {
  const seconds = metrics.histogram(
    'seele_node_finality_stage_seconds',
    'Time that own blocks took for each stage until they were final and stored',
    undefined,
    ['stage'],
  );
  return (stage, value) => seconds.observe({ stage }, value);
}

export class FinalityStages {
  readonly #observe: ObserveStage;
  readonly #nowMs: () => number;
  /** By hash of the block. */
  readonly #followed = new Map<string, Followed>();
  #waitsSinceMs: number | undefined;

  constructor(observe: ObserveStage, nowMs: () => number) {
    this.#observe = observe;
    this.#nowMs = nowMs;
  }

  /** A transaction waits. */
  submitted(): void {
    this.#waitsSinceMs ??= this.#nowMs();
  }

  /** A block of this node with what waited. */
  made(hash: string): void {
    const nowMs = this.#nowMs();
    if (this.#waitsSinceMs !== undefined)
      this.#observe('in-block', (nowMs - this.#waitsSinceMs) / 1000);
    this.#waitsSinceMs = undefined;
    this.#followed.set(hash, { stage: FINALITY_STAGES.indexOf('available'), sinceMs: nowMs });
    if (this.#followed.size > FOLLOWED_MAX)
      this.#followed.delete(this.#followed.keys().next().value as string);
  }

  available(hash: string): void {
    this.#reach(this.#followed.get(hash), 'available');
  }

  /** Own blocks that are available and whose position was not agreed on when last looked. */
  get unagreed(): readonly string[] {
    const at = FINALITY_STAGES.indexOf('agreed');
    return [...this.#followed].filter(([, { stage }]) => stage === at).map(([hash]) => hash);
  }

  agreed(hash: string): void {
    this.#reach(this.#followed.get(hash), 'agreed');
  }

  decided(slot: number, hashes: Iterable<string>): void {
    for (const hash of hashes) {
      const followed = this.#followed.get(hash);
      if (!followed) continue;
      followed.slot = slot;
      // What others agreed on, or a later view decided, skips stages here: no time is stated for them.
      if (FINALITY_STAGES[followed.stage] === 'decided') this.#reach(followed, 'decided');
      else this.#skipTo(followed, 'executed');
    }
  }

  executed(slot: number): void {
    for (const followed of this.#followed.values())
      if (followed.slot === slot) this.#reach(followed, 'executed');
  }

  stored(slot: number): void {
    for (const [hash, followed] of this.#followed) {
      if (followed.slot === undefined || followed.slot > slot) continue;
      if (followed.slot === slot) this.#reach(followed, 'stored');
      this.#followed.delete(hash);
    }
  }

  #skipTo(followed: Followed, stage: FinalityStage): void {
    followed.stage = FINALITY_STAGES.indexOf(stage);
    followed.sinceMs = this.#nowMs();
  }

  #reach(followed: Followed | undefined, stage: FinalityStage): void {
    if (!followed || FINALITY_STAGES[followed.stage] !== stage) return;
    const nowMs = this.#nowMs();
    this.#observe(stage, (nowMs - followed.sinceMs) / 1000);
    followed.stage += 1;
    followed.sinceMs = nowMs;
  }
}
