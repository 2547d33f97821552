/**
 * From changes to versions. What is noticed goes into a durable queue first; one worker takes it out,
 * looks at the source, and publishes what says something new. Whatever dies when, a change that was
 * noticed leads to a version that says it, and to one only.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '#libs/kernel';
import { isSeeleError } from '#libs/kernel';
import { createSystemClock, declareFailpoints, failpoint } from '#libs/platform';
import { openSource } from '../extract/open-source.ts';
import type { DataHome } from '../owner/data-home.ts';
import type { StoredDataset } from '../owner/owner-store.ts';
import type { PublishOutcome } from '../owner/publish.ts';
import type { Rollout } from '../owner/version-recorder.ts';
import { type ChangeSource, watchSource } from './change-sources.ts';

export type WatchNews =
  | { readonly is: 'watching'; readonly name: string }
  | { readonly is: 'noticed'; readonly name: string }
  | { readonly is: 'published'; readonly name: string; readonly outcome: PublishOutcome }
  /** Nothing is published until the source changes again. */
  | { readonly is: 'refused'; readonly name: string; readonly error: Error }
  /** Its source cannot be watched; the others are. */
  | { readonly is: 'unwatched'; readonly name: string; readonly error: Error }
  /** Tried again. */
  | { readonly is: 'waiting'; readonly name: string; readonly error: Error };

export interface WatchOptions {
  readonly home: (dataset: StoredDataset) => DataHome;
  readonly datasets: readonly StoredDataset[];
  readonly signal: AbortSignal;
  readonly onNews: (news: WatchNews) => void;
  /** Who takes the versions that come, from which heights on. */
  readonly rolloutFor?: (dataset: StoredDataset, latest: number) => Promise<Rollout>;
  /** A source must be quiet for so long; but it is looked at after `patienceMs` at the latest. */
  readonly debounceMs?: number;
  readonly patienceMs?: number;
}

const DEBOUNCE_MS = 150;
const PATIENCE_MS = 2_000;
const RETRY_FIRST_MS = 300;
const RETRY_MAX_MS = 10_000;
/** What the source is to blame for: trying again gives the same. */
const REFUSALS: ReadonlySet<string> = new Set([
  ...['DATA_BROKEN', 'DATA_LIMIT', 'DATA_EXTRACTION', 'DATA_DESCRIPTION', 'DATA_CONFLICT'],
  ...['MDDS_DESCRIPTION', 'MDDS_LIMIT', 'MDDS_SHAPE', 'MDDS_SYNTAX'],
]);

declareFailpoints('data.watch.noticed', 'data.watch.taken', 'data.watch.published');

class DatasetWatch {
  readonly #dataset: StoredDataset;
  readonly #options: WatchOptions;
  readonly #clock: Clock = createSystemClock();
  readonly #home: DataHome;
  #source: ChangeSource | undefined;
  #firstAtMs = 0;
  #lastAtMs = 0;
  #retryAtMs = 0;
  #retryMs = RETRY_FIRST_MS;

  constructor(dataset: StoredDataset, options: WatchOptions) {
    this.#dataset = dataset;
    this.#options = options;
    this.#home = options.home(dataset);
  }

  get name(): string {
    return this.#dataset.name;
  }

  async start(): Promise<void> {
    const { name, settings, uai } = this.#dataset;
    const { onNews } = this.#options;
    this.#source = await watchSource(settings.source, uai, {
      noticed: () => {
        this.#notice();
        onNews({ is: 'noticed', name });
      },
      failed: (error) => onNews({ is: 'waiting', name, error }),
    });
    // What happened while nobody watched.
    this.#notice();
    onNews({ is: 'watching', name });
  }

  stop(): Promise<void> {
    return this.#source?.stop() ?? Promise.resolve();
  }

  #notice(): void {
    const now = this.#clock.monotonicMs();
    this.#firstAtMs ||= now;
    this.#lastAtMs = now;
    this.#home.owner.noticeChange(this.#dataset.name, this.#clock.nowUs());
    failpoint('data.watch.noticed');
  }

  /** How long until it is to be looked at; undefined while nothing waits. */
  dueInMs(): number | undefined {
    if (!this.#home.owner.hasChange(this.#dataset.name)) return undefined;
    const now = this.#clock.monotonicMs();
    const { debounceMs = DEBOUNCE_MS, patienceMs = PATIENCE_MS } = this.#options;
    const quiet = Math.min(this.#lastAtMs + debounceMs, this.#firstAtMs + patienceMs);
    return Math.max(0, quiet - now, this.#retryAtMs - now);
  }

  async work(): Promise<void> {
    const { name } = this.#dataset;
    const { onNews } = this.#options;
    const change = this.#home.owner.takeChange(name);
    if (change === undefined) return;
    this.#firstAtMs = 0;
    failpoint('data.watch.taken');
    try {
      const outcome = await this.#publish(change.noticedUs);
      failpoint('data.watch.published');
      this.#home.owner.settleChange(change.id);
      this.#retryMs = RETRY_FIRST_MS;
      this.#retryAtMs = 0;
      onNews({ is: 'published', name, outcome });
    } catch (error) {
      const code = isSeeleError(error) ? error.code : '';
      if (REFUSALS.has(code)) {
        this.#home.owner.settleChange(change.id);
        return onNews({ is: 'refused', name, error: error as Error });
      }
      this.#retryAtMs = this.#clock.monotonicMs() + this.#retryMs;
      this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MAX_MS);
      onNews({ is: 'waiting', name, error: error as Error });
    }
  }

  async #publish(noticedUs: number): Promise<PublishOutcome> {
    const dataset = this.#home.owner.dataset(this.#dataset.name);
    // A version that was begun before this process is finished before anything else is said.
    await this.#home.resume(dataset);
    const latest = this.#home.owner.latest(dataset)?.sequence ?? 0;
    const rollout = await this.#options.rolloutFor?.(dataset, latest);
    const opened = await openSource(dataset.settings.source, this.#home.scratch);
    try {
      return await this.#home.publish(dataset, opened, { noticedUs, ...(rollout && { rollout }) });
    } finally {
      await opened.close();
    }
  }
}

const IDLE_MS = 50;

/** Starts those that can be watched. @throws what the first of them says when none can */
async function startAll(
  watches: readonly DatasetWatch[],
  onNews: WatchOptions['onNews'],
): Promise<readonly DatasetWatch[]> {
  const started: DatasetWatch[] = [];
  const errors: Error[] = [];
  for (const watch of watches)
    try {
      await watch.start();
      started.push(watch);
    } catch (error) {
      if (!isSeeleError(error)) throw error;
      errors.push(error);
      if (watches.length > 1) onNews({ is: 'unwatched', name: watch.name, error });
    }
  const [first] = errors;
  if (first !== undefined && started.length === 0) throw first;
  return started;
}

/**
 * Watches until the signal aborts. A source that cannot be watched is told, and does not stop the others.
 * @throws DATA_SOURCE when none can be watched
 */
export async function watchDatasets(options: WatchOptions): Promise<void> {
  const { datasets, signal } = options;
  const watches = datasets.map((dataset) => new DatasetWatch(dataset, options));
  try {
    const started = await startAll(watches, options.onNews);
    while (!signal.aborted) {
      const due = started
        .map((watch) => ({ watch, inMs: watch.dueInMs() }))
        .filter(({ inMs }) => inMs === 0);
      for (const { watch } of due) if (!signal.aborted) await watch.work();
      if (due.length === 0) await sleep(IDLE_MS, undefined, { signal }).catch(() => undefined);
    }
  } finally {
    await Promise.all(watches.map((watch) => watch.stop()));
  }
}
