/**
 * A network in memory on a virtual clock: streams with delay, jitter and bandwidth, links that break,
 * partitions. The same seed and the same calls give the same run. For tests and simulations.
 */
import { type Bytes, createSeededRandomness, type SeededRandomness } from '#libs/kernel';
import { LinkTransport } from './link-transport.ts';
import type { TransportOptions } from './options.ts';
import type { Transport } from './transport.ts';
import type { Carrier, Timers, Wire } from './wire.ts';

export interface MemoryNetworkOptions {
  readonly seed: number;
  /** One-way delay, drawn evenly from this range for every stretch of bytes. */
  readonly delayMs?: readonly [least: number, most: number];
  /** Of each stream, each way; absent: no bound. */
  readonly bytesPerSecond?: number;
}

type MemoryTransportOptions = Omit<TransportOptions, 'clock' | 'randomness'>;

export interface MemoryNetwork {
  readonly timers: Timers;
  readonly nowMs: number;
  /** A transport at address `name`. */
  create(name: string, options: MemoryTransportOptions): Transport;
  /** A bare carrier at address `name`, for peers that do not keep to the rules. */
  carrier(name: string): Carrier;
  /** Lets time pass; handlers' promises settle meanwhile. */
  advance(ms: number): Promise<void>;
  /** Lets time pass until `isDone`, at most `ms`; whether it was. */
  until(isDone: () => boolean, ms?: number): Promise<boolean>;
  /** Breaks the streams between two sets of addresses and lets no new ones through, until `heal`. */
  part(one: readonly string[], others: readonly string[]): void;
  heal(): void;
  /** Breaks all streams of an address and forgets who listens there, as when its process is killed. */
  kill(name: string): void;
}

interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly action: () => void;
  isCancelled: boolean;
}

/** Events by time; few enough at once that a sorted list would do, but runs are long. */
class Agenda {
  readonly #heap: Event[] = [];
  #order = 0;
  nowMs = 0;

  add(ms: number, action: () => void): Event {
    const event = {
      atMs: this.nowMs + Math.max(0, ms),
      order: this.#order++,
      action,
      isCancelled: false,
    };
    const heap = this.#heap;
    let at = heap.push(event) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(event, heap[parent] as Event)) break;
      heap[at] = heap[parent] as Event;
      at = parent;
    }
    heap[at] = event;
    return event;
  }

  get nextMs(): number {
    return this.#heap[0]?.atMs ?? Number.POSITIVE_INFINITY;
  }

  take(): Event | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (!first || !last || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Event, heap[child] as Event))
        child++;
      if (!isBefore(heap[child] as Event, last)) break;
      heap[at] = heap[child] as Event;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

const isBefore = (a: Event, b: Event): boolean =>
  a.atMs !== b.atMs ? a.atMs < b.atMs : a.order < b.order;

/** One way of a stream: bytes arrive in order, and wait with their sender while nobody reads. */
class Pipe {
  readonly #agenda: Agenda;
  readonly #delayMs: () => number;
  readonly #perMs: number;
  #freeAtMs = 0;
  #arrivesAtMs = 0;
  #isPaused = false;
  readonly #waiting: { readonly bytes: Bytes; readonly onTaken: () => void }[] = [];
  #onBytes: ((bytes: Bytes) => void) | undefined;
  isBroken = false;

  constructor(agenda: Agenda, delayMs: () => number, bytesPerSecond: number | undefined) {
    this.#agenda = agenda;
    this.#delayMs = delayMs;
    this.#perMs = bytesPerSecond === undefined ? Number.POSITIVE_INFINITY : bytesPerSecond / 1000;
  }

  write(bytes: Bytes, onTaken: () => void): void {
    const { nowMs } = this.#agenda;
    this.#freeAtMs = Math.max(this.#freeAtMs, nowMs) + bytes.length / this.#perMs;
    this.#arrivesAtMs = Math.max(this.#arrivesAtMs, this.#freeAtMs + this.#delayMs());
    this.#agenda.add(this.#arrivesAtMs - nowMs, () => {
      if (this.isBroken) return;
      this.#waiting.push({ bytes, onTaken });
      this.#pass();
    });
  }

  /** When everything written so far will have arrived, from now. */
  get drainedInMs(): number {
    return Math.max(0, this.#arrivesAtMs - this.#agenda.nowMs);
  }

  read(onBytes: (bytes: Bytes) => void): void {
    this.#onBytes = onBytes;
    this.#pass();
  }
  pause(): void {
    this.#isPaused = true;
  }
  resume(): void {
    this.#isPaused = false;
    this.#agenda.add(0, () => this.#pass());
  }

  #pass(): void {
    while (!this.#isPaused && !this.isBroken && this.#onBytes) {
      const next = this.#waiting.shift();
      if (!next) return;
      next.onTaken();
      this.#onBytes(next.bytes);
    }
  }
}

interface Stream {
  readonly ends: readonly [string, string];
  cut(why: string): void;
}

class VirtualNetwork implements MemoryNetwork {
  readonly #agenda = new Agenda();
  readonly #random: SeededRandomness;
  readonly #options: MemoryNetworkOptions;
  readonly #listening = new Map<string, (wire: Wire) => void>();
  readonly #streams = new Set<Stream>();
  readonly #parted: (readonly [ReadonlySet<string>, ReadonlySet<string>])[] = [];
  readonly timers: Timers;

  constructor(options: MemoryNetworkOptions) {
    this.#options = options;
    this.#random = createSeededRandomness(options.seed);
    this.timers = {
      nowMs: () => this.#agenda.nowMs,
      after: (ms, action) => {
        const event = this.#agenda.add(ms, action);
        return () => {
          event.isCancelled = true;
        };
      },
      soon: (action) => void this.#agenda.add(0, action),
    };
  }

  get nowMs(): number {
    return this.#agenda.nowMs;
  }

  create(name: string, options: MemoryTransportOptions): Transport {
    const clock = {
      nowUs: () => Math.round(this.#agenda.nowMs * 1000),
      monotonicMs: () => this.#agenda.nowMs,
    };
    const randomness = this.#random.fork(name);
    return new LinkTransport({ ...options, clock, randomness }, this.carrier(name));
  }

  carrier(name: string): Carrier {
    return {
      timers: this.timers,
      listen: async (onWire) => {
        this.#listening.set(name, onWire);
        return name;
      },
      connect: (address, timeoutMs) =>
        new Promise((resolve, reject) => {
          const fail = (): void => reject(new Error(`nobody answers at ${address}`));
          if (this.#arePart(name, address)) return void this.#agenda.add(timeoutMs, fail);
          this.#agenda.add(2 * this.#delayMs(), () => {
            const onWire = this.#listening.get(address);
            if (!onWire || this.#arePart(name, address)) return fail();
            const [near, far] = this.#join(name, address);
            onWire(far);
            resolve(near);
          });
        }),
      close: async () => {
        this.#listening.delete(name);
      },
    };
  }

  #delayMs = (): number => {
    const [least, most] = this.#options.delayMs ?? [0, 0];
    return least + (most - least) * this.#random.float();
  };

  #arePart(a: string, b: string): boolean {
    return this.#parted.some(([x, y]) => (x.has(a) && y.has(b)) || (x.has(b) && y.has(a)));
  }

  #join(from: string, to: string): readonly [Wire, Wire] {
    const pipe = () => new Pipe(this.#agenda, this.#delayMs, this.#options.bytesPerSecond);
    const there = pipe();
    const back = pipe();
    const binding = this.#random.bytes(32);
    const onEnds: ((why: string) => void)[] = [];
    const stream: Stream = {
      ends: [from, to],
      cut: (why) => {
        if (!this.#streams.delete(stream)) return;
        there.isBroken = true;
        back.isBroken = true;
        for (const onEnd of onEnds) this.#agenda.add(0, () => onEnd(why));
      },
    };
    this.#streams.add(stream);
    const wire = (remote: string, out: Pipe, incoming: Pipe): Wire => ({
      binding,
      remote,
      write: (bytes, onTaken) => {
        if (!out.isBroken) out.write(bytes.slice(), onTaken);
      },
      open: (onBytes, onEnd) => {
        onEnds.push(onEnd);
        incoming.read(onBytes);
      },
      pause: () => incoming.pause(),
      resume: () => incoming.resume(),
      end: (graceMs) => {
        const inMs = Math.min(graceMs, out.drainedInMs);
        this.#agenda.add(inMs, () => stream.cut('closed'));
      },
    });
    return [wire(to, there, back), wire(from, back, there)];
  }

  async advance(ms: number): Promise<void> {
    await this.until(() => false, ms);
  }

  async until(isDone: () => boolean, ms = 60_000): Promise<boolean> {
    const endMs = this.#agenda.nowMs + ms;
    await settled();
    while (!isDone()) {
      if (this.#agenda.nextMs > endMs) {
        this.#agenda.nowMs = endMs;
        return isDone();
      }
      const event = this.#agenda.take();
      if (!event || event.isCancelled) continue;
      this.#agenda.nowMs = event.atMs;
      event.action();
      await settled();
    }
    return true;
  }

  part(one: readonly string[], others: readonly string[]): void {
    this.#parted.push([new Set(one), new Set(others)]);
    for (const stream of [...this.#streams])
      if (this.#arePart(...stream.ends)) stream.cut('the network is parted');
  }

  heal(): void {
    this.#parted.length = 0;
  }

  kill(name: string): void {
    this.#listening.delete(name);
    for (const stream of [...this.#streams]) if (stream.ends.includes(name)) stream.cut('reset');
  }
}

/** Enough turns of the promise queue for a handler that awaits a few things. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 8; turn++) await Promise.resolve();
}

export function createMemoryNetwork(options: MemoryNetworkOptions): MemoryNetwork {
  return new VirtualNetwork(options);
}
