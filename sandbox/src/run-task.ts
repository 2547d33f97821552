/**
 * Runs one task in a ready slot: feeds inputs, collects output and log under their limits, watches
 * time, CPU and memory from outside, and says how it ended. Whatever the slot says about limits it
 * does not enforce is checked here again; a slot that was taken over can only end its own task.
 */
import { escapeControls, linesOf } from './log-text.ts';
import type { Slot, SlotDeath } from './slot.ts';
import { CHUNK_BYTES, DONE, FROM_SLOT, TO_SLOT, numbered } from './slot/frames.ts';
import { MeteredReport, meteredHeader } from './metered-report.ts';
import type { MeteredTaskHeader } from './slot/metered-main.ts';
import type { TaskHeader } from './slot/run-task.ts';
import { SavePointReader } from './save-point.ts';
import type { SandboxTask, SlotOutcome, TaskHost, TaskInput } from './task.ts';
import { sandboxError } from './errors.ts';
import type { ExitClass } from '#contracts';
import { type Bytes, concatBytes } from '#libs/kernel';

const WATCH_MS = 10;
/** The engine's own use beside a metered guest, whose memory the engine limits exactly. */
const METERED_SPARE_BYTES = 96 * 2 ** 20;
const OPEN_STREAMS_MAX = 64;
const READ_FAILED = 5;
const COMPLETE = 1;

interface InputStream {
  readonly iterator: AsyncIterator<Bytes>;
  credits: number;
  busy: boolean;
  rest: Bytes | undefined;
}

/** Seeds sfc32 from any text (FNV-1a with four offsets). */
export function seedNumbers(text: string): number[] {
  return [0, 1, 2, 3].map((lane) => {
    let hash = 0x811c9dc5 ^ Math.imul(lane, 0x9e3779b9);
    for (let i = 0; i < text.length; i++)
      hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193) >>> 0;
    return hash >>> 0;
  });
}

function taskFrame(task: SandboxTask, inputs: readonly (readonly [string, TaskInput])[]): Buffer {
  const { params, metered, saved } = task;
  const common = { inputs: inputs.map(([name, { sizeBytes }]) => ({ name, sizeBytes })), params };
  const header: TaskHeader | MeteredTaskHeader = metered
    ? { ...common, ...meteredHeader(metered.kind, metered.terms) }
    : {
        ...common,
        seed: seedNumbers(task.seed ?? ''),
        ...(task.task && { task: task.task }),
        ...(saved && { isResumed: true }),
        memoryMb: isolateMemoryMb(task.limits.memoryBytes),
        hostCalls: task.limits.hostCalls,
      };
  const json = Buffer.from(JSON.stringify(header));
  return numbered(json.length, concatBytes(json, task.code));
}

/** isolated-vm's own limit, a hint that often ends a bomb sooner and more cleanly. At least 8 MB. */
export function isolateMemoryMb(memoryBytes: number): number {
  return Math.max(8, Math.floor(memoryBytes / 2 ** 20));
}

export class SlotTask {
  readonly #slot: Slot;
  readonly #task: SandboxTask;
  readonly #host: TaskHost;
  readonly #inputs: (readonly [string, TaskInput])[];
  readonly #streams = new Map<number, InputStream>();
  readonly #output: Buffer[] = [];
  readonly #savePoint = new SavePointReader();
  readonly #report: MeteredReport | undefined;
  readonly #memoryBytesMax: number;
  #outputBytes = 0;
  #inputBytes = 0;
  #logLines = 0;
  #logBytes = 0;
  #startedAtMs = 0;
  #peakBytes = 0;
  #lastCpuMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #resolve: (outcome: SlotOutcome) => void = () => {};
  #reject: (error: Error) => void = () => {};
  #ended = false;

  constructor(slot: Slot, task: SandboxTask, host: TaskHost) {
    this.#slot = slot;
    this.#task = task;
    this.#host = host;
    const { limits, metered, saved } = task;
    this.#inputs = Object.entries(task.inputs);
    if (saved && !metered) this.#inputs.push(['', saved]);
    this.#report = metered && new MeteredReport(metered.terms);
    this.#memoryBytesMax = limits.memoryBytes + (metered ? METERED_SPARE_BYTES : 0);
  }

  /** @throws SANDBOX_CANCELLED when the host's signal fired */
  run(): Promise<SlotOutcome> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      const { signal } = this.#host;
      if (signal?.aborted === true) return this.#cancel();
      signal?.addEventListener('abort', this.#cancel);
      this.#startedAtMs = performance.now();
      this.#slot.listen({
        onFrame: (type, payload) => this.#guarded(() => this.#onFrame(type, payload)),
        onNonsense: () => this.#end('crash', 'the slot broke the protocol'),
        onDeath: (death) => this.#onDeath(death),
      });
      if (this.#ended) return;
      this.#slot.send(TO_SLOT.task, taskFrame(this.#task, this.#inputs));
      this.#timer = setInterval(this.#watch, WATCH_MS);
    });
  }

  readonly #cancel = (): void => {
    if (this.#ended) return;
    this.#stop();
    this.#slot.kill();
    this.#reject(sandboxError('SANDBOX_CANCELLED', 'the task was cancelled while it ran'));
  };

  readonly #watch = (): void => {
    const { limits } = this.#task;
    const { facts } = this.#slot.gauge;
    const wallMs = performance.now() - this.#startedAtMs;
    if (facts !== undefined) {
      this.#lastCpuMs = facts.cpuMs - this.#slot.idleCpu.cpuMs;
      const above = facts.residentBytes - this.#slot.idleBytes;
      this.#peakBytes = Math.max(this.#peakBytes, above);
      if (above > this.#memoryBytesMax)
        return this.#end('memory-limit', `more than ${limits.memoryBytes} bytes of memory`);
      if (this.#lastCpuMs > limits.cpuMs)
        return this.#end('cpu-limit', `more than ${limits.cpuMs} ms of CPU`);
    }
    if (wallMs > limits.wallMs) this.#end('wall-limit', `more than ${limits.wallMs} ms`);
  };

  /** A host callback that throws, or a frame that is too short, ends the task and nothing else. */
  #guarded(action: () => void): void {
    if (this.#ended) return;
    try {
      action();
    } catch (error) {
      this.#end('crash', `the host failed: ${String(error)}`);
    }
  }

  #onFrame(type: number, payload: Buffer): void {
    switch (type) {
      case FROM_SLOT.started:
        return this.#host.onStarted?.();
      case FROM_SLOT.log:
        return this.#onLog(payload);
      case FROM_SLOT.progress:
        return this.#onProgress(payload);
      case FROM_SLOT.output:
        return this.#onOutput(payload);
      case FROM_SLOT.pull:
        return this.#onPull(
          payload.readUInt32LE(0),
          payload.readUInt32LE(4),
          payload.length < 16 ? 0 : Number(payload.readBigUInt64LE(8)),
        );
      case FROM_SLOT.savePoint:
        return this.#onSavePoint(payload);
      case FROM_SLOT.checkpoint:
        if (this.#report) return this.#host.onCheckpoint?.(this.#report.checkpoint(payload));
        return this.#end('crash', 'the slot broke the protocol');
      case FROM_SLOT.metered:
        if (this.#report) return this.#report.finish(payload, this.#outputBytes);
        return this.#end('crash', 'the slot broke the protocol');
      case FROM_SLOT.close:
        return this.#closeStream(payload.readUInt32LE(0));
      case FROM_SLOT.done:
        return this.#onDone(payload);
      default:
        return this.#end('crash', 'the slot broke the protocol');
    }
  }

  #onLog(payload: Buffer): void {
    const { logBytes, logLines } = this.#task.limits;
    this.#logBytes += payload.length - 1;
    if (this.#logBytes > logBytes)
      return this.#end('log-limit', `more than ${logBytes} bytes of log`);
    for (const line of linesOf(payload[0] as number, payload.toString('utf8', 1))) {
      if (++this.#logLines > logLines)
        return this.#end('log-limit', `more than ${logLines} lines of log`);
      this.#host.onLog?.(line);
    }
  }

  #onProgress(payload: Buffer): void {
    const share = payload.readDoubleLE(0);
    if (!(share >= 0 && share <= 1)) return this.#end('crash', 'the slot broke the protocol');
    this.#host.onProgress?.(share, escapeControls(payload.toString('utf8', 8).slice(0, 200)));
  }

  #onSavePoint(payload: Buffer): void {
    const said = this.#savePoint.add(payload);
    if (said === 'too-long') return this.#end('crash', 'the slot broke the protocol');
    if (said !== undefined) this.#host.onSavePoint?.(said);
  }

  #onOutput(payload: Buffer): void {
    this.#outputBytes += payload.length;
    const { outputBytes } = this.#task.limits;
    if (this.#outputBytes > outputBytes)
      return this.#end('output-limit', `more than ${outputBytes} bytes of output`);
    this.#output.push(payload);
  }

  /** `which` is 1 + the input's index in the frame that opens a stream, otherwise 0. */
  #onPull(id: number, which: number, offset: number): void {
    let stream = this.#streams.get(id);
    if (stream === undefined) {
      const input = this.#inputs[which - 1]?.[1];
      if (input === undefined) return; // a credit for a stream that has ended
      if (this.#streams.size >= OPEN_STREAMS_MAX)
        return this.#end('crash', 'the slot broke the protocol');
      const iterator = input.read(offset)[Symbol.asyncIterator]();
      stream = { iterator, credits: 0, busy: false, rest: undefined };
      this.#streams.set(id, stream);
    }
    stream.credits++;
    if (!stream.busy) void this.#pump(id, stream);
  }

  async #pump(id: number, stream: InputStream): Promise<void> {
    stream.busy = true;
    try {
      while (stream.credits > 0 && this.#streams.get(id) === stream && !this.#ended) {
        let bytes = stream.rest;
        if (bytes === undefined) {
          const next = await stream.iterator.next();
          if (next.done === true) return this.#endStream(id, COMPLETE);
          bytes = next.value;
        }
        if (this.#ended) return;
        const piece = bytes.subarray(0, CHUNK_BYTES);
        stream.rest = bytes.length > CHUNK_BYTES ? bytes.subarray(CHUNK_BYTES) : undefined;
        if (piece.length === 0) continue;
        stream.credits--;
        this.#inputBytes += piece.length;
        this.#slot.sendChunk(id, piece);
      }
      stream.busy = false;
    } catch (error) {
      this.#endStream(id, READ_FAILED);
      // Not the guest's fault: a block is missing or does not match its hash.
      const message = error instanceof Error ? error.message : String(error);
      this.#end('refused', `an input could not be read: ${message}`);
    }
  }

  #endStream(id: number, code: number): void {
    this.#streams.delete(id);
    this.#slot.send(TO_SLOT.end, numbered(id, Uint8Array.of(code)));
  }

  #closeStream(id: number): void {
    const stream = this.#streams.get(id);
    this.#streams.delete(id);
    stream?.iterator.return?.().catch(() => {});
  }

  #onDone(payload: Buffer): void {
    const said = escapeLines(payload.toString('utf8', 1));
    if (this.#report && (payload[0] === DONE.ok ? !this.#report.isSound : !this.#report.run))
      return this.#end('crash', 'the slot broke the protocol');
    switch (payload[0]) {
      case DONE.fuelLimit:
        return this.#end('fuel-limit', said);
      case DONE.outputLimit:
        return this.#end('output-limit', said);
      case DONE.logLimit:
        return this.#end('log-limit', said);
      case DONE.ok:
        return this.#end('ok');
      case DONE.hostCallLimit:
        return this.#end('host-call-limit', said);
      case DONE.memoryLimit:
        return this.#end('memory-limit', said);
      case DONE.guestError:
        return this.#end('guest-error', said);
      default:
        return this.#end('crash', 'the slot broke the protocol');
    }
  }

  #onDeath({ code, signal, stderr }: SlotDeath): void {
    const how = signal === null ? `exit code ${code}` : signal;
    const limit = this.#task.limits.memoryBytes;
    // V8 aborts when it cannot allocate, in several ways; the figures decide, then V8's own words.
    if (this.#peakBytes > limit / 2 || /out of memory|oom|allocation failed/i.test(stderr))
      this.#end('memory-limit', `the slot ended (${how}) at ${this.#peakBytes} bytes of memory`);
    else this.#end('crash', `the slot ended (${how})`);
  }

  #end(exit: ExitClass, error?: string): void {
    if (this.#ended) return;
    const wallMs = Math.ceil(performance.now() - this.#startedAtMs);
    const usage = {
      cpuMs: this.#cpuMs(),
      wallMs,
      peakMemoryBytes: this.#peakMemoryBytes(),
      inputBytes: this.#inputBytes,
      outputBytes: this.#outputBytes,
    };
    this.#stop();
    // A job that failed by itself leaves a sound process; its isolate goes before the next task.
    if (exit !== 'ok' && exit !== 'guest-error') this.#slot.kill();
    const metered = this.#report?.run;
    this.#resolve({
      exit,
      usage,
      ...(metered && { metered }),
      ...(exit === 'ok' ? { output: joined(this.#output) } : {}),
      ...(error === undefined ? {} : { error }),
    });
  }

  #stop(): void {
    this.#ended = true;
    clearInterval(this.#timer);
    this.#host.signal?.removeEventListener('abort', this.#cancel);
    this.#slot.listen(undefined);
    for (const id of this.#streams.keys()) this.#closeStream(id);
  }

  #cpuMs(): number {
    const before = this.#slot.idleCpu;
    const now = this.#slot.gauge.cpu();
    if (now !== undefined) {
      this.#lastCpuMs = now.cpuMs - before.cpuMs;
      this.#slot.idleCpu = now;
    }
    // Threads that ended are missing in the precise figure, so it is a lower bound as well.
    const precise = (now?.preciseMs ?? 0) - (before.preciseMs ?? 0);
    return Math.ceil(Math.max(this.#lastCpuMs - 10, precise, 0));
  }

  #peakMemoryBytes(): number {
    const { gauge, idleBytes, idlePeakBytes } = this.#slot;
    const peak = gauge.bytes('VmHWM') ?? 0;
    if (peak > idlePeakBytes) this.#peakBytes = Math.max(this.#peakBytes, peak - idleBytes);
    return this.#peakBytes;
  }
}

function joined(parts: readonly Buffer[]): Bytes {
  const all = Buffer.concat(parts);
  return new Uint8Array(all.buffer, all.byteOffset, all.length);
}

const escapeLines = (text: string): string => text.split('\n').map(escapeControls).join('\n');
