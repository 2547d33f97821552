/**
 * The host side of a verifiable job: what it reads, writes and logs, within quotas, and the running
 * commitment to its output. Everything here is a function of the program and its inputs, so that two
 * honest machines record the same.
 */
import { sha256Hex } from '#libs/crypto';
import { type Bytes, concatBytes, hexToBytes, utf8 } from '#libs/kernel';
import { GuestAbort } from '../wasm/metered-instance.ts';

/** An input, whole or behind a blocking reader; the caller has checked its hash. */
export interface JobInput {
  readonly name: string;
  readonly sizeBytes: number;
  /** Bytes from `offset`, at most `length`, fewer only at the end. */
  read(offset: number, length: number): Bytes;
}

export interface JobQuotas {
  readonly outputBytes: number;
  readonly logLines: number;
  readonly logBytes: number;
  readonly hostCalls: number;
}

export interface JobSurroundings {
  readonly inputs: readonly JobInput[];
  /** JSON text. */
  readonly params: string;
  /** 32 bytes, hex: where the job's randomness comes from. */
  readonly seed: string;
  /** What the job's clock says, always. */
  readonly epochMs: number;
  readonly quotas: JobQuotas;
  /** Receives the output as it is made. */
  onOutput?(chunk: Bytes): void;
  onLog?(line: string): void;
  onProgress?(share: number, note: string): void;
}

/** How a verifiable job ended. */
export type JobExit =
  | 'ok'
  | 'guest-error'
  | 'fuel-limit'
  | 'output-limit'
  | 'log-limit'
  | 'host-call-limit';

/** Ends the job for a reason that the host decides. */
export class JobStop extends GuestAbort {
  override readonly name = 'JobStop';
  readonly exit: JobExit;

  constructor(exit: JobExit, message: string) {
    super(message);
    this.exit = exit;
  }
}

/** What a checkpoint says of the job's dealings with the world. */
export interface RecordedIo {
  readonly outputLength: number;
  /** Hash chain over the written chunks: independent of the hash function's inner state. */
  readonly outputChain: string;
  readonly logLines: number;
  readonly logBytes: number;
  readonly hostCalls: number;
  readonly randomDrawn: number;
}

export const NOTHING_RECORDED: RecordedIo = {
  outputLength: 0,
  outputChain: '00'.repeat(32),
  logLines: 0,
  logBytes: 0,
  hostCalls: 0,
  randomDrawn: 0,
};

/** What the host's own work costs: per call, and per byte of random bytes and of output. */
export const JOB_HOST_FUEL = { call: 500, randomByte: 40, writtenByte: 8 } as const;

const LOG_LINE_CHARS_MAX = 4_096;
const NOTE_CHARS_MAX = 200;
const READ_BYTES_MAX = 1024 * 1024;

export class JobRecorder {
  readonly #surroundings: JobSurroundings;
  #io: RecordedIo;

  constructor(surroundings: JobSurroundings, io: RecordedIo = NOTHING_RECORDED) {
    this.#surroundings = surroundings;
    this.#io = io;
  }

  get io(): RecordedIo {
    return this.#io;
  }

  /** Counts one host call. @throws JobStop over the quota */
  called(): void {
    const hostCalls = this.#io.hostCalls + 1;
    if (hostCalls > this.#surroundings.quotas.hostCalls)
      throw new JobStop(
        'host-call-limit',
        `over ${this.#surroundings.quotas.hostCalls} host calls`,
      );
    this.#io = { ...this.#io, hostCalls };
  }

  input(index: number): JobInput | undefined {
    return this.#surroundings.inputs[index];
  }

  read(index: number, offset: number, length: number): Bytes {
    const input = this.input(index);
    if (!input || !Number.isSafeInteger(offset) || offset < 0 || length < 0)
      throw new JobStop('guest-error', 'reads an input that does not exist');
    const most = Math.min(length, READ_BYTES_MAX, Math.max(0, input.sizeBytes - offset));
    return most === 0 ? new Uint8Array() : input.read(offset, most);
  }

  write(chunk: Bytes): void {
    const outputLength = this.#io.outputLength + chunk.length;
    const { outputBytes } = this.#surroundings.quotas;
    if (outputLength > outputBytes)
      throw new JobStop('output-limit', `output over ${outputBytes} bytes`);
    const outputChain = sha256Hex(hexToBytes(this.#io.outputChain) ?? chunk, chunk);
    this.#io = { ...this.#io, outputLength, outputChain };
    this.#surroundings.onOutput?.(chunk);
  }

  /** One call may hold several lines; each counts. */
  log(text: string): void {
    for (const line of text.split(/\r?\n/)) this.#line(line);
  }

  #line(line: string): void {
    const text = line.slice(0, LOG_LINE_CHARS_MAX).toWellFormed();
    const { quotas } = this.#surroundings;
    const logLines = this.#io.logLines + 1;
    const logBytes = this.#io.logBytes + utf8(text).length;
    if (logLines > quotas.logLines || logBytes > quotas.logBytes)
      throw new JobStop(
        'log-limit',
        `over ${quotas.logLines} log lines or ${quotas.logBytes} bytes`,
      );
    this.#io = { ...this.#io, logLines, logBytes };
    this.#surroundings.onLog?.(text);
  }

  progress(share: number, note: string): void {
    const bounded = Number.isFinite(share) ? Math.min(1, Math.max(0, share)) : 0;
    this.#surroundings.onProgress?.(bounded, note.slice(0, NOTE_CHARS_MAX));
  }

  /** Deterministic bytes: SHA-256 of seed and counter, block by block. */
  random(length: number): Bytes {
    const seed = hexToBytes(this.#surroundings.seed) ?? new Uint8Array(32);
    const blocks: Bytes[] = [];
    let { randomDrawn } = this.#io;
    for (let made = 0; made < length; made += 32) {
      const block = hexToBytes(sha256Hex(seed, utf8(`/${randomDrawn++}`)));
      if (block) blocks.push(block);
    }
    this.#io = { ...this.#io, randomDrawn };
    return concatBytes(...blocks).subarray(0, length);
  }
}
