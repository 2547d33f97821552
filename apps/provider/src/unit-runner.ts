/**
 * Does the work of a batch: its units one after the other in one slot process, each in a fresh context.
 * What is done is reported from time to time, so that a batch that is lost in its middle has not been for
 * nothing. A unit that ends the slot is tried again, alone, and then reported as what it is.
 */
import { CID } from 'multiformats/cid';
import { create as createDigest } from 'multiformats/hashes/digest';
import { type UnitResult, unitsOf } from '#contracts';
import { sha256 } from '#libs/crypto';
import type { Bytes } from '#libs/kernel';
import {
  type AgentEvent,
  INLINE_OUTPUT_MAX_BYTES,
  type Manifest,
  type StoredUnits,
  TASK_INPUTS_MAX_BYTES,
  type TaskInputs,
  type UnitOutput,
  decodeTaskInputs,
  encodeBatchResults,
} from '#libs/market';
import { type Logger, declareFailpoints, failpoint } from '#libs/platform';
import { type BlobStore, readBlob } from '#libs/storage';
import type { SlotOutcome, SlotPool, SlotSession } from '#sandbox';
import { type JobContent, Unrunnable, watchedInputs, withMadeInputs } from './job-content.ts';
import { createWorkUnderWay } from './work-under-way.ts';
import { createUnitLog } from './unit-log.ts';

declareFailpoints('provider.unit.before', 'provider.unit.after', 'provider.units.report');

export interface UnitRunnerOptions {
  readonly pool: Pick<SlotPool, 'open'>;
  readonly blobs: BlobStore;
  readonly content: JobContent;
  readonly logger: Logger;
  readonly emit: (event: AgentEvent) => void;
  /** Runs nothing and says that all ended well: for measuring a market. */
  readonly isNoop: boolean;
}

export interface UnitRunner {
  run(units: StoredUnits): void;
  kill(lease: string): void;
  killAll(): void;
}

/** What is done is reported so often; every report is a document, a signature and a disk write. */
const REPORT_MS = 2_000;
const ATTEMPTS = 2;
const ERROR_MAX = 500;
const RAW = 0x55;
const SHA2_256 = 0x12;
const NO_USAGE = { cpuMs: 0, wallMs: 0, peakMemoryBytes: 0, inputBytes: 0, outputBytes: 0 };
const NOOP_OUTPUT = new TextEncoder().encode('null');

/** Stored once: what a measurement stores again and again says nothing about the market. */
let noopDocument: Promise<string> | undefined;

type Ended = Omit<UnitResult, 'charge'>;

/** CID of bytes as one raw block. */
const rawCid = (bytes: Bytes): CID => CID.createV1(RAW, createDigest(SHA2_256, sha256(bytes)));

export function createUnitRunner(options: UnitRunnerOptions): UnitRunner {
  const { content } = options;
  const underWay = createWorkUnderWay(options);
  return {
    run: (units) =>
      underWay.begin(units.lease, async (signal) => {
        const manifest = withMadeInputs(await content.fetchManifest(units.manifest), units.inputs);
        content.checkFits(manifest);
        const work = new BatchWork(options, units, manifest, signal);
        await (options.isNoop ? work.runNothing() : work.run());
      }),
    kill: underWay.kill,
    killAll: underWay.killAll,
  };
}

class BatchWork {
  readonly #options: UnitRunnerOptions;
  readonly #units: StoredUnits;
  readonly #manifest: Manifest;
  readonly #signal: AbortSignal;
  readonly #results: Ended[] = [];
  readonly #outputs: UnitOutput[] = [];
  readonly #log = createUnitLog();
  #session: SlotSession | undefined;
  #reportedAtMs = performance.now();

  constructor(
    options: UnitRunnerOptions,
    units: StoredUnits,
    manifest: Manifest,
    signal: AbortSignal,
  ) {
    this.#options = options;
    this.#units = units;
    this.#manifest = manifest;
    this.#signal = signal;
  }

  async run(): Promise<void> {
    const code = await this.#options.content.fetchCode(this.#manifest);
    const perTask = await this.#taskInputs();
    try {
      for (const unit of unitsOf(this.#units.units)) {
        this.#signal.throwIfAborted();
        failpoint('provider.unit.before');
        await this.#take(unit, await this.#runUnit(unit, code, perTask));
        failpoint('provider.unit.after');
        if (performance.now() - this.#reportedAtMs >= REPORT_MS) await this.#report(false);
      }
      // The order's next batch may come before it is killed.
      this.#session?.park();
      await this.#report(true);
    } finally {
      this.#session?.close();
    }
  }

  async runNothing(): Promise<void> {
    const cid = rawCid(NOOP_OUTPUT);
    for (const unit of unitsOf(this.#units.units))
      this.#results.push({ unit, exit: 'ok', usage: NO_USAGE, output: cid.bytes });
    noopDocument ??= this.#options.blobs
      .put(NOOP_OUTPUT, { pin: true })
      .then(({ cid: put }) => put);
    this.#tell(await noopDocument, true);
  }

  async #taskInputs(): Promise<TaskInputs | undefined> {
    const { taskInput } = this.#manifest.array ?? {};
    const made = this.#units.taskInputs;
    if (!taskInput) return undefined;
    const list = taskInput.list ?? made;
    if (list === undefined) throw new Unrunnable('nobody said what its tasks read');
    const maxBytes = TASK_INPUTS_MAX_BYTES;
    const { signal } = { signal: this.#signal };
    return decodeTaskInputs(await readBlob(this.#options.blobs, list, { maxBytes, signal }));
  }

  async #runUnit(unit: number, code: Bytes, perTask: TaskInputs | undefined): Promise<SlotOutcome> {
    const { array, limits, params, inputs: shared } = this.#manifest;
    const count = array?.tasks ?? 1;
    const index = unit % count;
    const own = perTask?.[index];
    const { name } = array?.taskInput ?? {};
    if (perTask && !own)
      return {
        exit: 'guest-error',
        usage: NO_USAGE,
        error: `no input is listed for task ${index}`,
      };
    const all = own && name !== undefined ? [...shared, { name, ...own }] : shared;
    const inputs = watchedInputs(this.#options.blobs, { inputs: all }, this.#signal);
    let mustBeAlone = false;
    for (let attempt = 1; ;) {
      const order = mustBeAlone ? undefined : this.#units.order;
      this.#session ??= await this.#options.pool.open(undefined, order);
      const session = this.#session;
      const isAlone = session.isFresh;
      this.#log.begin();
      const outcome = await session.run(
        {
          ...{ code, inputs: inputs.byName, params, limits, task: { index, count } },
          // Replicas of a task draw the same numbers.
          seed: `${this.#units.manifest}/${index}`,
        },
        { signal: this.#signal, onLog: (line) => this.#log.take(line) },
      );
      if (!session.isOpen) {
        session.close();
        this.#session = undefined;
      }
      inputs.check(outcome);
      // What earlier units left behind may have taken this one's memory or time: how a unit ends its slot
      // is known only from a slot of its own.
      mustBeAlone = !isAlone && this.#session === undefined;
      if (mustBeAlone) continue;
      if (outcome.exit !== 'crash' || attempt++ >= ATTEMPTS) return outcome;
    }
  }

  async #take(unit: number, { exit, usage, output, error }: SlotOutcome): Promise<void> {
    const said =
      error === undefined || error === ''
        ? {}
        : { error: error.slice(0, ERROR_MAX).toWellFormed() };
    if (exit !== 'ok' || output === undefined) {
      this.#results.push({ unit, exit, usage });
      const log = this.#log.keep();
      this.#outputs.push({ unit, sizeBytes: 0, ...said, ...(log && { log }) });
      return;
    }
    const isInline = output.length <= INLINE_OUTPUT_MAX_BYTES;
    const cid = isInline
      ? rawCid(output)
      : CID.parse(await this.#options.content.upload(output, this.#signal));
    this.#results.push({ unit, exit, usage, output: cid.bytes });
    const entry = { unit, cid: cid.toString(), sizeBytes: output.length };
    this.#outputs.push(isInline ? { ...entry, inline: output } : entry);
  }

  async #report(isLast: boolean): Promise<void> {
    failpoint('provider.units.report');
    const bytes = encodeBatchResults(this.#outputs);
    const document = await this.#options.content.upload(bytes, this.#signal);
    this.#reportedAtMs = performance.now();
    this.#tell(document, isLast);
  }

  #tell(document: string, isLast: boolean): void {
    const { limits } = this.#manifest;
    const report = { results: [...this.#results], document, limits, isLast };
    this.#options.emit({ kind: 'unitsReported', lease: this.#units.lease, report });
  }
}
