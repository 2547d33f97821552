/** One task inside the slot process: answers host calls, streams inputs, reports how it ended. */
import { StringDecoder } from 'node:string_decoder';
import { DONE, FROM_SLOT, STREAM_WINDOW, numbered } from './frames.ts';
import { type GuestConfiguration, HOST_CALLS } from './guest.ts';
import type { GuestIsolate } from './isolate.ts';

/** Header of a task frame. */
export interface TaskHeader extends GuestConfiguration {
  readonly memoryMb: number;
  readonly hostCalls: number;
}

export type Send = (type: number, payload?: Uint8Array) => void;
/** Several frames in one write. */
export type SendAll = (frames: readonly (readonly [type: number, payload: Uint8Array])[]) => void;

const OK = 0;
const BAD_ARGUMENT = 1;
const TOO_MANY_CALLS = 2;
const TOO_MANY_OPEN = 3;
const NO_SUCH_INPUT = 4;
const OPEN_MAX = 64;
const TIMERS_MAX = 1_000;
const POKE_MS = 10;
const QUIET_WITHIN_MS = 5;
const ERROR_TEXT_MAX = 4_000;

interface Stream {
  readonly decoder: StringDecoder | undefined;
  readonly chunks: Buffer[];
  /** 0 while chunks may come; then the code of its end: 1 complete, 5 unreadable. */
  end: number;
  wanted: boolean;
  started: boolean;
}

const text = (value: string): Buffer => Buffer.from(value, 'utf8');
const done = (status: number, message: string): Buffer =>
  Buffer.concat([Buffer.of(status), text(message.slice(0, ERROR_TEXT_MAX))]);

/** Message of something that came out of isolated-vm; the stack would name files of the host. */
function messageOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  const frames = (thrown.stack ?? '').split('\n').filter((row) => /^ {4}at .*job\.js:/.test(row));
  return [`${thrown.name}: ${thrown.message}`, ...frames.slice(0, 10)].join('\n');
}

export class TaskRun {
  readonly #isolate: GuestIsolate;
  readonly #header: TaskHeader;
  readonly #send: Send;
  readonly #sendAll: SendAll;
  readonly #streams = new Map<number, Stream>();
  readonly #timers = new Map<number, NodeJS.Timeout>();
  #calls = 0;
  #ended = false;
  #endedWell = false;
  /** How often control is with the guest. */
  #inside = 0;
  #onQuiet: () => void = () => {};

  constructor(isolate: GuestIsolate, header: TaskHeader, send: Send, sendAll: SendAll) {
    this.#isolate = isolate;
    this.#header = header;
    this.#send = send;
    this.#sendAll = sendAll;
  }

  async run(code: Buffer): Promise<void> {
    const isolate = this.#isolate;
    isolate.listen((op, a, b, c) => this.#answer(op, a, b, c));
    try {
      const { inputs, params, seed, task, isResumed } = this.#header;
      isolate.configure(JSON.stringify({ inputs, params, seed, task, isResumed }));
      isolate.link(code.toString('utf8'));
      this.#send(FROM_SLOT.started);
      await this.#within(isolate.evaluate());
    } catch (error) {
      this.#guestFailed(error);
    }
    if (this.#ended) return;
    let quiet = true;
    const poke = setInterval(() => {
      if (this.#ended) clearInterval(poke);
      else if (quiet) {
        quiet = false;
        this.#within(isolate.poke()).then(
          () => (quiet = true),
          (error: unknown) => this.#guestFailed(error),
        );
      }
    }, POKE_MS);
  }

  chunk(stream: number, bytes: Buffer): void {
    const state = this.#streams.get(stream);
    if (state === undefined) return;
    state.chunks.push(bytes);
    this.#feed(stream, state);
  }

  end(stream: number, code: number): void {
    const state = this.#streams.get(stream);
    if (state === undefined) return;
    state.end = code;
    this.#feed(stream, state);
  }

  catastrophe(): void {
    this.#finish(DONE.memoryLimit, 'the isolate ran out of memory');
  }

  /**
   * Whether it ended well, waits for nothing (no timer, no input), and has given control back: what runs
   * on after its end is not waited for long.
   */
  async leavesNothing(): Promise<boolean> {
    if (!this.#endedWell) return false;
    if (this.#inside > 0)
      await Promise.race([
        new Promise<void>((resolve) => (this.#onQuiet = resolve)),
        new Promise<void>((resolve) => setTimeout(resolve, QUIET_WITHIN_MS)),
      ]);
    return this.#inside === 0;
  }

  /** Control is with the guest until `work` settles. */
  async #within(work: Promise<void>): Promise<void> {
    this.#inside++;
    try {
      await work;
    } finally {
      if (--this.#inside === 0) this.#onQuiet();
    }
  }

  #finish(status: number, message: string, output?: Uint8Array): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#endedWell = status === DONE.ok && this.#timers.size === 0 && this.#streams.size === 0;
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#sendAll([
      ...(output === undefined ? [] : [[FROM_SLOT.output, output] as const]),
      [FROM_SLOT.done, done(status, message)],
    ]);
  }

  /** An error that surfaced in isolated-vm: the module threw, or a promise rejected unhandled. */
  #guestFailed(error: unknown): void {
    if (this.#isolate.isDead()) this.#finish(DONE.memoryLimit, 'the isolate ran out of memory');
    else this.#finish(DONE.guestError, `the job threw ${messageOf(error)}`);
  }

  #deliver(id: number, code: number, payload?: string | ArrayBuffer): void {
    this.#within(this.#isolate.deliver(id, code, payload)).catch((error: unknown) =>
      this.#guestFailed(error),
    );
  }

  #feed(id: number, state: Stream): void {
    if (!state.wanted || this.#ended) return;
    const bytes = state.chunks.shift();
    if (bytes !== undefined) {
      state.wanted = false;
      this.#send(FROM_SLOT.pull, Buffer.concat([numbered(id), Buffer.alloc(4)]));
      // A chunk has a buffer of its own, which is moved into the isolate.
      const payload =
        state.decoder === undefined ? (bytes.buffer as ArrayBuffer) : this.#decode(state, bytes);
      this.#deliver(id, 0, payload);
      return;
    }
    if (state.end === 0) return;
    const tail = state.decoder?.end() ?? '';
    state.wanted = false;
    if (tail !== '' && state.end === 1) {
      this.#deliver(id, 0, tail);
      return;
    }
    this.#streams.delete(id);
    this.#deliver(id, state.end);
  }

  #decode(state: Stream, bytes: Buffer): string {
    const decoded = (state.decoder as StringDecoder).write(bytes);
    if (state.started || decoded === '') return decoded;
    state.started = true;
    return decoded.startsWith('\uFEFF') ? decoded.slice(1) : decoded;
  }

  #answer(op: number, a: unknown, b: unknown, c: unknown): number {
    if (this.#ended) return BAD_ARGUMENT;
    if (++this.#calls > this.#header.hostCalls && op !== HOST_CALLS.done) {
      this.#finish(
        DONE.hostCallLimit,
        `the job made more than ${this.#header.hostCalls} host calls`,
      );
      return TOO_MANY_CALLS;
    }
    switch (op) {
      case HOST_CALLS.log:
        return this.#log(a, b);
      case HOST_CALLS.progress:
        return this.#progress(a, b);
      case HOST_CALLS.outputText:
        if (typeof a !== 'string') return BAD_ARGUMENT;
        this.#send(FROM_SLOT.output, text(a));
        return OK;
      case HOST_CALLS.outputBytes:
        if (!(a instanceof ArrayBuffer)) return BAD_ARGUMENT;
        this.#send(FROM_SLOT.output, new Uint8Array(a));
        return OK;
      case HOST_CALLS.save:
        if (!(a instanceof ArrayBuffer)) return BAD_ARGUMENT;
        this.#send(
          FROM_SLOT.savePoint,
          Buffer.concat([Buffer.of(b === 1 ? 1 : 0), new Uint8Array(a)]),
        );
        return OK;
      case HOST_CALLS.open:
        return this.#open(a, b, c);
      case HOST_CALLS.pull:
        return this.#pull(a);
      case HOST_CALLS.close:
        if (typeof a !== 'number' || !this.#streams.delete(a)) return BAD_ARGUMENT;
        this.#send(FROM_SLOT.close, numbered(a));
        return OK;
      case HOST_CALLS.timer:
        return this.#timer(a, b);
      case HOST_CALLS.clearTimer:
        if (typeof a !== 'number') return BAD_ARGUMENT;
        clearTimeout(this.#timers.get(a));
        this.#timers.delete(a);
        return OK;
      case HOST_CALLS.done:
        if (typeof b !== 'string') return BAD_ARGUMENT;
        if (a !== 0) this.#finish(DONE.guestError, b);
        // The last text of the output comes with it: each call is a hop between two threads.
        else this.#finish(DONE.ok, b, typeof c === 'string' && c !== '' ? text(c) : undefined);
        return OK;
      default:
        return BAD_ARGUMENT;
    }
  }

  #log(level: unknown, message: unknown): number {
    if (typeof level !== 'number' || typeof message !== 'string') return BAD_ARGUMENT;
    if (!(level >= 0 && level <= 3) || message.length > 300_000) return BAD_ARGUMENT;
    this.#send(FROM_SLOT.log, Buffer.concat([Buffer.of(level), text(message)]));
    return OK;
  }

  #progress(share: unknown, note: unknown): number {
    if (typeof share !== 'number' || !(share >= 0 && share <= 1)) return BAD_ARGUMENT;
    if (typeof note !== 'string') return BAD_ARGUMENT;
    const head = Buffer.alloc(8);
    head.writeDoubleLE(share, 0);
    this.#send(FROM_SLOT.progress, Buffer.concat([head, text(note.slice(0, 200))]));
    return OK;
  }

  #open(id: unknown, index: unknown, asText: unknown): number {
    if (typeof id !== 'number' || typeof index !== 'number') return BAD_ARGUMENT;
    if (this.#header.inputs[index] === undefined) return NO_SUCH_INPUT;
    if (this.#streams.size >= OPEN_MAX) return TOO_MANY_OPEN;
    if (this.#streams.has(id)) return BAD_ARGUMENT;
    this.#streams.set(id, {
      // Not TextDecoder: its stream mode would need one per stream as well, and this one is faster.
      decoder: asText === 1 ? new StringDecoder('utf8') : undefined,
      chunks: [],
      end: 0,
      wanted: false,
      started: false,
    });
    for (let n = 0; n < STREAM_WINDOW; n++) {
      const which = Buffer.alloc(4);
      which.writeUInt32LE(n === 0 ? index + 1 : 0, 0);
      this.#send(FROM_SLOT.pull, Buffer.concat([numbered(id), which]));
    }
    return OK;
  }

  #pull(id: unknown): number {
    const state = typeof id === 'number' ? this.#streams.get(id) : undefined;
    if (state === undefined || state.wanted) return BAD_ARGUMENT;
    state.wanted = true;
    // Not at once: the guest is still inside its call.
    setImmediate(() => this.#feed(id as number, state));
    return OK;
  }

  #timer(id: unknown, delayMs: unknown): number {
    if (typeof id !== 'number' || typeof delayMs !== 'number') return BAD_ARGUMENT;
    if (this.#timers.size >= TIMERS_MAX) return TOO_MANY_OPEN;
    const fire = () => {
      this.#timers.delete(id);
      this.#deliver(id, 0);
    };
    this.#timers.set(id, setTimeout(fire, delayMs));
    return OK;
  }
}
