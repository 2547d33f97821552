/**
 * SPARQL over the public directories, for markets that switch it on: a store in a thread of its own,
 * loaded when the first query comes and anew when it is too old, ended when a query takes too long.
 */
import { once } from 'node:events';
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { marketAppError } from '../errors.ts';

export interface SparqlSettings {
  /** Of the index. */
  readonly file: string;
  /** Loading stops above it: about 600 bytes of memory each. */
  readonly quadsMax: number;
}

export interface SparqlQuestion {
  readonly id: number;
  readonly query: string;
  readonly bytesMax: number;
}

export interface SparqlResult {
  readonly text: string;
  /** `application/sparql-results+json` or, of a graph, `text/turtle`. */
  readonly mediaType: string;
}

export type SparqlAnswer = { readonly id: number } & (
  | SparqlResult
  | { readonly refused: string }
  | { readonly tooLarge: number }
);

export interface SparqlEndpoint {
  /** @throws MARKET_SPARQL, MARKET_CATALOGUE_UNAVAILABLE */
  query(query: string): Promise<SparqlResult>;
  stop(): Promise<void>;
}

const QUERY_TIMEOUT_MS = 5_000;
const LOAD_TIMEOUT_MS = 60_000;
const FRESH_MS = 60_000;
const WAITING_MAX = 8;
const RESULT_BYTES_MAX = 4 * 1024 * 1024;
const QUADS_MAX = 1_000_000;

const unavailable = (why: string) => marketAppError('MARKET_CATALOGUE_UNAVAILABLE', why);

interface Store {
  readonly worker: Worker;
  readonly loadedAtMs: number;
}

class Endpoint {
  readonly #file: string;
  #store: Promise<Store> | undefined;
  #queue: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #nextId = 1;

  constructor(file: string) {
    this.#file = file;
  }

  async #load(): Promise<Store> {
    const workerData: SparqlSettings = { file: this.#file, quadsMax: QUADS_MAX };
    const file = `./sparql-worker${extname(import.meta.filename)}`;
    const worker = new Worker(new URL(file, import.meta.url), { workerData });
    const loaded = once(worker, 'message', { signal: AbortSignal.timeout(LOAD_TIMEOUT_MS) });
    await loaded.catch(async (error: unknown) => {
      await worker.terminate();
      throw unavailable(`the store cannot be loaded: ${String(error)}`);
    });
    return { worker, loadedAtMs: performance.now() };
  }

  async #current(): Promise<Store> {
    const known = await this.#store?.catch(() => undefined);
    if (known && performance.now() - known.loadedAtMs < FRESH_MS) return known;
    await known?.worker.terminate();
    this.#store = this.#load();
    return this.#store;
  }

  async #ask(query: string): Promise<SparqlResult> {
    const { worker } = await this.#current();
    const id = this.#nextId++;
    worker.postMessage({ id, query, bytesMax: RESULT_BYTES_MAX } satisfies SparqlQuestion);
    let answer: SparqlAnswer;
    try {
      const signal = AbortSignal.timeout(QUERY_TIMEOUT_MS);
      [answer] = (await once(worker, 'message', { signal })) as [SparqlAnswer];
    } catch {
      this.#store = undefined;
      await worker.terminate();
      throw marketAppError('MARKET_SPARQL', `the query took over ${QUERY_TIMEOUT_MS} ms`);
    }
    if ('text' in answer) return answer;
    throw marketAppError(
      'MARKET_SPARQL',
      'refused' in answer
        ? answer.refused.slice(0, 500)
        : `the result has ${answer.tooLarge} bytes; ${RESULT_BYTES_MAX} are given`,
    );
  }

  /** One after the other: a query that is too slow takes the thread with it. */
  query(query: string): Promise<SparqlResult> {
    if (this.#waiting >= WAITING_MAX)
      return Promise.reject(unavailable(`${WAITING_MAX} queries wait`));
    this.#waiting++;
    const answered = this.#queue.then(() => this.#ask(query));
    this.#queue = answered.catch(() => undefined).finally(() => this.#waiting--);
    return answered;
  }

  async stop(): Promise<void> {
    const store = await this.#store?.catch(() => undefined);
    await store?.worker.terminate();
  }
}

/** @param file of the catalogue's index */
export function createSparqlEndpoint(file: string): SparqlEndpoint {
  const endpoint = new Endpoint(file);
  return { query: (query) => endpoint.query(query), stop: () => endpoint.stop() };
}

/** For markets that do not offer it. */
export const noSparql = (): SparqlEndpoint => ({
  query: () =>
    Promise.reject(
      unavailable('this market answers no SPARQL: its operator can set SEELE_MARKET_SPARQL=true'),
    ),
  stop: () => Promise.resolve(),
});
