/** The catalogue as the market's thread sees it: its threads started, asked, and started again when they die. */
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { extname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { SeeleError, errorEntry } from '#libs/kernel';
import type { Logger } from '#libs/platform';
import { marketAppError } from '../errors.ts';
import type { CatalogueAnswers } from './catalogue-answers.ts';
import {
  type SparqlEndpoint,
  type SparqlResult,
  createSparqlEndpoint,
  noSparql,
} from './sparql.ts';
import type { Answer, AnswersMethod, ThreadSettings } from './thread-messages.ts';

/** `CatalogueAnswers`, asked from another thread. */
export type Catalogue = {
  readonly [M in AnswersMethod]: (
    ...args: Parameters<CatalogueAnswers[M]>
  ) => Promise<Awaited<ReturnType<CatalogueAnswers[M]>>>;
} & {
  /** @throws MARKET_SPARQL, MARKET_CATALOGUE_UNAVAILABLE */
  sparql(query: string): Promise<SparqlResult>;
  /** Questions that were not answered yet. */
  waiting(): number;
  stop(): Promise<void>;
};

export interface CatalogueSettings extends Omit<ThreadSettings, 'role' | 'shapesFile'> {
  readonly logger: Logger;
  /** Answer SPARQL queries too; costs a thread and memory once one comes. */
  readonly withSparql?: boolean;
}

const ANSWER_TIMEOUT_MS = 5_000;
const WAITING_MAX = 256;
const RESTART_MS = 1_000;
const RESTART_MS_MAX = 60_000;
/** A document of the largest size, parsed and checked, stays well below. */
const HEAP_MB = 768;

/** The shapes lie at the root of the installation, beside the sources or the compiled files. */
function shapesFile(): string {
  const above = ['../../../..', '../../../../..'].map((up) =>
    join(import.meta.dirname, up, 'schemas/shapes.ttl'),
  );
  return above.find((file) => existsSync(file)) ?? (above[0] as string);
}

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  readonly timer: NodeJS.Timeout;
}

class CatalogueThread {
  readonly #role: ThreadSettings['role'];
  readonly #settings: CatalogueSettings;
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  #stopping = false;
  #nextId = 1;

  constructor(role: ThreadSettings['role'], settings: CatalogueSettings) {
    this.#role = role;
    this.#settings = settings;
  }

  /** Resolves when the thread is ready for the first time. */
  start(): Promise<void> {
    return new Promise((resolve) => void this.#keepRunning(resolve));
  }

  async #keepRunning(onReady: () => void): Promise<void> {
    const { logger, withSparql: _withSparql, ...settings } = this.#settings;
    for (let failures = 0; !this.#stopping; failures++) {
      if (failures > 0) await sleep(Math.min(RESTART_MS_MAX, RESTART_MS * 2 ** (failures - 1)));
      if (this.#stopping) break;
      const file = `./catalogue-worker${extname(import.meta.filename)}`;
      const workerData: ThreadSettings = {
        ...settings,
        role: this.#role,
        shapesFile: shapesFile(),
      };
      const worker = new Worker(new URL(file, import.meta.url), {
        workerData,
        resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
      });
      this.#worker = worker;
      worker.on('message', (answer: Answer) => {
        if (answer.kind === 'ready') onReady();
        this.#take(answer);
      });
      worker.on('error', (error) =>
        logger.error({ error: String(error), thread: this.#role }, 'a catalogue thread died'),
      );
      await once(worker, 'exit');
      this.#worker = undefined;
      this.#failAll();
    }
  }

  #take(answer: Answer): void {
    if (answer.kind === 'note') this.#settings.logger.info(answer.note, answer.text);
    if (answer.kind !== 'answer' && answer.kind !== 'refusal') return;
    const waiting = this.#waiting.get(answer.id);
    if (!waiting) return;
    this.#waiting.delete(answer.id);
    clearTimeout(waiting.timer);
    if (answer.kind === 'answer') waiting.resolve(answer.value);
    else {
      const entry = errorEntry(answer.code);
      waiting.reject(
        entry ? new SeeleError(answer.code, entry, answer.message) : unavailable(answer.message),
      );
    }
  }

  #failAll(): void {
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer);
      reject(unavailable('its thread ended'));
    }
    this.#waiting.clear();
  }

  ask(method: AnswersMethod, args: readonly unknown[]): Promise<unknown> {
    const worker = this.#worker;
    if (!worker) return Promise.reject(unavailable('it is being started'));
    if (this.#waiting.size >= WAITING_MAX)
      return Promise.reject(unavailable(`${WAITING_MAX} questions wait`));
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(unavailable(`no answer for ${ANSWER_TIMEOUT_MS} ms`));
      }, ANSWER_TIMEOUT_MS);
      this.#waiting.set(id, { resolve, reject, timer });
      worker.postMessage({ id, method, args });
    });
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    const worker = this.#worker;
    if (!worker) return;
    const ended = once(worker, 'exit');
    worker.postMessage('stop');
    await Promise.race([ended, sleep(STOP_MS, undefined, { ref: false })]);
    await worker.terminate();
  }
}

const STOP_MS = 2_000;
const unavailable = (why: string) => marketAppError('MARKET_CATALOGUE_UNAVAILABLE', why);

/**
 * Opens or makes the index and begins to fill it; answers from what is there already, as soon as it is
 * open. Does not wait for that: a market serves orders without its catalogue.
 */
export function startCatalogue(settings: CatalogueSettings): Catalogue {
  const [index, reader] = (['index', 'answer'] as const).map(
    (role) => new CatalogueThread(role, settings),
  ) as [CatalogueThread, CatalogueThread];
  void index.start().then(() => reader.start());
  const sparql = settings.withSparql === true ? createSparqlEndpoint(settings.file) : noSparql();
  return catalogueOver(
    (method, args) => reader.ask(method, args),
    sparql,
    () => reader.waiting,
    async () => {
      await Promise.all([index.stop(), reader.stop(), sparql.stop()]);
    },
  );
}

/** For a market without a catalogue. */
export const noCatalogue = (): Catalogue =>
  catalogueOver(
    () => Promise.reject(unavailable('this market keeps none')),
    noSparql(),
    () => 0,
    () => Promise.resolve(),
  );

const METHODS: readonly AnswersMethod[] = [
  ...(['status', 'search', 'show', 'versions', 'document', 'diff', 'feed'] as const),
];

function catalogueOver(
  ask: (method: AnswersMethod, args: readonly unknown[]) => Promise<unknown>,
  { query: sparql }: Pick<SparqlEndpoint, 'query'>,
  waiting: () => number,
  stop: () => Promise<void>,
): Catalogue {
  const questions = METHODS.map((method) => [
    method,
    (...args: readonly unknown[]) => ask(method, args),
  ]);
  return {
    ...(Object.fromEntries(questions) as Omit<Catalogue, 'stop' | 'sparql' | 'waiting'>),
    sparql,
    waiting,
    stop,
  };
}
