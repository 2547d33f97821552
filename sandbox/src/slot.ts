/** One slot process seen from the parent: start, one task at a time, death. */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import type { PreparedJsEngine } from '#libs/vm';
import { sandboxError } from './errors.ts';
import type { SlotLayer, SlotProbe } from './layers/layer.ts';
import type { SlotStart } from './launch.ts';
import { FIRST_FEED } from './layers/seccomp.ts';
import { type CpuReading, ProcessGauge, innermostProcess } from './process-facts.ts';
import {
  FROM_SLOT,
  FrameReader,
  SLOT_FRAME_MAX_BYTES,
  TO_SLOT,
  chunkHead,
  frame,
} from './slot/frames.ts';

const START_TIMEOUT_MS = 15_000;
const STDERR_KEPT_BYTES = 4_096;
/** What is left of a killed slot's wrappers then is killed as well. */
const WRAPPERS_END_MS = 100;

/** How the process went away. */
export interface SlotDeath {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderr: string;
}

/** Who hears the frames of the running task. */
export interface SlotListener {
  onFrame(type: number, payload: Buffer): void;
  /** The slot broke the frame rules; it is being killed. */
  onNonsense(): void;
  onDeath(death: SlotDeath): void;
}

function killQuietly(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGKILL');
  } catch {
    return false;
  }
}

export class Slot {
  /** Of the process that runs Node, whatever wrapped it. */
  pid: number;
  /** What it uses; of that process from when it is ready on. */
  gauge: ProcessGauge;
  /** Resident bytes when ready: a job's memory is counted above this. */
  idleBytes = 0;
  /** Peak resident bytes when ready. */
  idlePeakBytes = 0;
  /** What it had used when it was last idle: the next task's use is counted from there. */
  idleCpu: CpuReading = { cpuMs: 0 };
  /** No task has run here yet. */
  isFresh = true;
  readonly startMs: number;
  readonly #spawnedPid: number;
  readonly #child: ChildProcess;
  readonly #input: Socket;
  #listener: SlotListener | undefined;
  #probed: ((probe: SlotProbe) => void) | undefined;
  #loaded: (() => void) | undefined;
  #death: SlotDeath | undefined;
  #stderr = '';
  #killed = false;

  /** Starts a slot process and waits until it is ready for a task. @throws SANDBOX_START */
  static async start(start: SlotStart, layers: readonly SlotLayer[]): Promise<Slot> {
    const slot = new Slot(start, layers);
    try {
      await slot.#ready();
      slot.pid = innermostProcess(slot.#spawnedPid);
      await Promise.all(layers.map(async (layer) => layer.afterReady?.(slot.pid)));
      slot.gauge = new ProcessGauge(slot.pid);
      slot.idleBytes = slot.gauge.facts?.residentBytes ?? 0;
      slot.idleCpu = slot.gauge.cpu() ?? slot.idleCpu;
      slot.idlePeakBytes = slot.gauge.bytes('VmHWM') ?? slot.idleBytes;
      return slot;
    } catch (error) {
      slot.kill();
      throw error;
    }
  }

  private constructor({ command, feeds }: SlotStart, layers: readonly SlotLayer[]) {
    const [file = '', ...args] = command;
    this.startMs = performance.now();
    this.#child = spawn(file, args, {
      cwd: '/',
      // Empty: wrappers are found on the C library's default path, Node by its full path.
      env: {},
      stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe', ...feeds.map(() => 'pipe' as const)],
      // A process group of its own, so that one kill reaches wrappers too.
      detached: true,
    });
    this.#spawnedPid = this.#child.pid ?? 0;
    this.pid = this.#spawnedPid;
    this.gauge = new ProcessGauge(this.pid);
    for (const [i, bytes] of feeds.entries()) {
      const feed = this.#child.stdio[FIRST_FEED + i] as Socket;
      feed.on('error', () => {});
      feed.end(bytes);
    }
    this.#input = this.#child.stdio[3] as Socket;
    // A dead slot shows as its exit, not as a broken pipe.
    this.#input.on('error', () => {});
    (this.#child.stderr as Readable).on('data', (bytes: Buffer) => {
      if (this.#stderr.length < STDERR_KEPT_BYTES) this.#stderr += bytes.toString('latin1');
    });
    const reader = new FrameReader(SLOT_FRAME_MAX_BYTES, (type, payload) => {
      if (type === FROM_SLOT.probed) this.#onProbed(payload);
      else if (type === FROM_SLOT.loaded) this.#loaded?.();
      else this.#listener?.onFrame(type, payload);
    });
    const output = this.#child.stdio[4] as Readable;
    output.on('error', () => {});
    output.on('data', (bytes: Buffer) => {
      if (!reader.push(bytes)) {
        this.#listener?.onNonsense();
        this.kill();
      }
    });
    const dead = (code: number | null, signal: NodeJS.Signals | null) => {
      if (this.#death !== undefined) return;
      this.#death = { code, signal, stderr: this.#stderr.slice(0, STDERR_KEPT_BYTES) };
      this.#listener?.onDeath(this.#death);
      this.gauge.close();
      for (const layer of layers) layer.afterEnd?.(this.pid);
    };
    this.#child.on('error', (error) => {
      this.#stderr += String(error);
      dead(null, null);
    });
    // `close` comes after the last byte of the pipes was read, so no frame is lost.
    this.#child.on('close', dead);
  }

  get isAlive(): boolean {
    return this.#death === undefined && !this.#killed;
  }

  listen(listener: SlotListener | undefined): void {
    this.#listener = listener;
    if (listener !== undefined && this.#death !== undefined) listener.onDeath(this.#death);
  }

  send(type: number, payload?: Uint8Array): void {
    if (this.isAlive) this.#input.write(frame(type, payload));
  }

  /** An input chunk: written from where it lies, because a copy of every input costs as much again. */
  sendChunk(stream: number, bytes: Uint8Array): void {
    if (!this.isAlive) return;
    this.#input.cork();
    this.#input.write(chunkHead(stream, bytes.length));
    this.#input.write(bytes);
    this.#input.uncork();
  }

  /** What the slot can do, by its own trial. Only meaningful before its first task. */
  probe(): Promise<SlotProbe> {
    return this.#before<SlotProbe>('probe', (resolve) => {
      this.#probed = resolve;
      this.send(TO_SLOT.probe);
    });
  }

  /** Gives a metered slot its JavaScript engine, before a task: it counts as part of the slot. */
  async loadEngine({ version, bytes }: PreparedJsEngine): Promise<void> {
    await this.#before<void>('load the engine', (resolve) => {
      this.#loaded = resolve;
      this.send(TO_SLOT.engine, Buffer.concat([Buffer.from(version, 'latin1'), bytes]));
    });
    this.idleBytes = this.gauge.facts?.residentBytes ?? this.idleBytes;
    this.idlePeakBytes = this.gauge.bytes('VmHWM') ?? this.idlePeakBytes;
  }

  /** Kills the process and everything it started. Does nothing when it is dead. */
  kill(): void {
    if (this.#killed || this.#spawnedPid === 0) return;
    this.#killed = true;
    if (this.#death !== undefined) return;
    const killAll = () => {
      if (this.#death === undefined && !killQuietly(-this.#spawnedPid)) this.#child.kill('SIGKILL');
    };
    // Wrappers end with the slot, and hand on what it used; killed at once they would lose it.
    if (this.pid !== this.#spawnedPid && killQuietly(this.pid))
      setTimeout(killAll, WRAPPERS_END_MS).unref();
    else killAll();
  }

  #onProbed(payload: Buffer): void {
    const probed = this.#probed;
    this.#probed = undefined;
    probed?.(JSON.parse(payload.toString('utf8')) as SlotProbe);
  }

  #ready(): Promise<void> {
    return this.#before<void>('start', (resolve) => {
      this.listen({
        onFrame: (type) => {
          if (type === FROM_SLOT.ready) resolve();
        },
        onNonsense: () => {},
        onDeath: () => {},
      });
    }).finally(() => this.listen(undefined));
  }

  /** Waits for something the slot has to do soon; its death or a time-out is SANDBOX_START. */
  #before<T>(what: string, begin: (resolve: (value: T) => void) => void): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const fail = (why: string) => {
        settle();
        const printed = this.#stderr.trim().slice(0, 500);
        const detail = printed === '' ? '' : `: ${printed}`;
        reject(sandboxError('SANDBOX_START', `the slot did not ${what}: ${why}${detail}`));
      };
      const timer = setTimeout(() => fail(`no answer in ${START_TIMEOUT_MS} ms`), START_TIMEOUT_MS);
      const onClose = () => fail('the process ended');
      const onError = (error: Error) => fail(error.message);
      const settle = () => {
        clearTimeout(timer);
        this.#child.off('close', onClose);
        this.#child.off('error', onError);
      };
      this.#child.once('close', onClose);
      this.#child.once('error', onError);
      begin((value) => {
        settle();
        resolve(value);
      });
    });
  }
}
