/**
 * The world of a simulation: one virtual clock, a heap of things to come, one seed for all that is
 * random, counters of what happened, and the violations found. Nothing in it knows the market.
 */
import { sha256Hex } from '#libs/crypto';
import { type SeededRandomness, createSeededRandomness, utf8 } from '#libs/kernel';

interface Planned {
  readonly atUs: number;
  readonly order: number;
  readonly name: string;
  readonly isWanted: () => boolean;
  readonly run: () => unknown;
}

export interface Violation {
  readonly invariant: string;
  readonly text: string;
  readonly atMs: number;
}

const START_US = 1_800_000_000_000_000;
const TRACE_CHUNK = 8192;
const VIOLATIONS_MAX = 20;
/** A world that needs more goes round in circles. */
const EVENTS_MAX = 100_000;

const always = (): boolean => true;

export class World {
  readonly seed: number;
  readonly random: SeededRandomness;
  readonly counters = new Map<string, number>();
  readonly violations: Violation[] = [];
  nowUs = START_US;
  /** Faults happen while this is true. */
  faulty = true;
  events = 0;
  readonly #heap: Planned[] = [];
  #planned = 0;
  #trace = '';
  #traceHash = '';

  constructor(seed: number) {
    this.seed = seed;
    this.random = createSeededRandomness(seed);
  }

  /** Virtual milliseconds since the start. */
  get elapsedMs(): number {
    return (this.nowUs - START_US) / 1000;
  }

  /** Runs something later, unless it is no longer wanted then (its process died). */
  after(delayMs: number, name: string, run: () => unknown, isWanted: () => boolean = always): void {
    const atUs = this.nowUs + Math.max(0, Math.round(delayMs * 1000));
    this.#push({ atUs, order: this.#planned++, name, isWanted, run });
  }

  /** A number of milliseconds between two bounds. */
  between(lowMs: number, highMs: number): number {
    return lowMs + this.random.float() * (highMs - lowMs);
  }

  /** True with that chance, and only while faults happen; counted, so that we know it did. */
  fault(name: string, chance: number): boolean {
    if (!this.faulty || !this.random.chance(chance)) return false;
    this.count(`fault ${name}`);
    return true;
  }

  count(name: string): void {
    this.counters.set(name, (this.counters.get(name) ?? 0) + 1);
  }

  violate(invariant: string, text: string): void {
    if (this.violations.length < VIOLATIONS_MAX)
      this.violations.push({ invariant, text, atMs: this.elapsedMs });
  }

  check(holds: boolean, invariant: string, text: () => string): void {
    if (!holds) this.violate(invariant, text());
  }

  trace(text: string): void {
    this.#trace += `${this.nowUs} ${text}\n`;
    if (this.#trace.length > TRACE_CHUNK) this.#foldTrace();
  }

  #foldTrace(): void {
    this.#traceHash = sha256Hex(utf8(this.#traceHash + this.#trace));
    this.#trace = '';
  }

  get traceHash(): string {
    this.#foldTrace();
    return this.#traceHash;
  }

  /** Runs what is planned, in order of time, until `isOver` says so or nothing is left. */
  async run(isOver: () => boolean): Promise<void> {
    for (let next = this.#pop(); next; next = this.#pop()) {
      this.nowUs = Math.max(this.nowUs, next.atUs);
      if (!next.isWanted()) continue;
      this.events += 1;
      this.trace(next.name);
      const result = next.run();
      if (result instanceof Promise) await result;
      if (this.events > EVENTS_MAX)
        this.violate('I9', `${EVENTS_MAX} events and no end, now ${next?.name}`);
      if (this.violations.length > 0 || isOver()) return;
    }
  }

  #push(entry: Planned): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(entry);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent] as Planned;
      if (above.atUs < entry.atUs || (above.atUs === entry.atUs && above.order < entry.order))
        break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = entry;
  }

  #pop(): Planned | undefined {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap.pop();
    if (!top || !last || heap.length === 0) return top;
    const before = (a: Planned, b: Planned): boolean =>
      a.atUs < b.atUs || (a.atUs === b.atUs && a.order < b.order);
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      const right = heap[child + 1];
      if (right && before(right, heap[child] as Planned)) child += 1;
      if (!before(heap[child] as Planned, last)) break;
      heap[at] = heap[child] as Planned;
      at = child;
    }
    heap[at] = last;
    return top;
  }
}

/** Something that can be killed and started again; what was planned for a former life is dropped. */
export class Life {
  #number = 0;
  #isUp = false;

  get isUp(): boolean {
    return this.#isUp;
  }

  begin(): void {
    this.#number += 1;
    this.#isUp = true;
  }

  end(): void {
    this.#isUp = false;
  }

  /** A guard that holds as long as this life lasts. */
  guard(): () => boolean {
    const number = this.#number;
    return () => this.#isUp && this.#number === number;
  }
}

/** The one timer of a process: rings when its reducer wants to be woken next. */
export class Alarm {
  readonly #world: World;
  readonly #life: Life;
  readonly #name: string;
  readonly #ring: () => void;
  #atMs = Number.POSITIVE_INFINITY;
  #startedUs = 0;

  constructor(world: World, life: Life, name: string, ring: () => void) {
    this.#world = world;
    this.#life = life;
    this.#name = name;
    this.#ring = ring;
  }

  /** A process starts: its monotonic clock begins, nothing is set. */
  begin(): void {
    this.#startedUs = this.#world.nowUs;
    this.#atMs = Number.POSITIVE_INFINITY;
  }

  /** Monotonic milliseconds of the process. */
  get nowMs(): number {
    return (this.#world.nowUs - this.#startedUs) / 1000;
  }

  /** Moves the alarm to an earlier moment; a later one waits for the earlier to ring. */
  set(dueMs: number | undefined): void {
    if (dueMs === undefined || dueMs >= this.#atMs) return;
    this.#atMs = dueMs;
    const ring = (): void => {
      if (this.#atMs !== dueMs) return;
      this.#atMs = Number.POSITIVE_INFINITY;
      this.#ring();
    };
    this.#world.after(dueMs - this.nowMs + 0.01, this.#name, ring, this.#life.guard());
  }
}

/** One direction of a connection: ordered, unless a fault says otherwise. */
export class Channel {
  readonly #world: World;
  readonly #name: string;
  #lastAtUs = 0;

  constructor(world: World, name: string) {
    this.#world = world;
    this.#name = name;
  }

  send(deliver: () => unknown, isWanted: () => boolean, isSafe = false): void {
    const world = this.#world;
    const { random } = world;
    if (!isSafe && world.fault('message lost', 0.01)) return;
    let delayMs = world.between(0.2, 5);
    const isReordered = !isSafe && world.fault('message reordered', 0.01);
    if (!isSafe && world.fault('message late', 0.01)) delayMs += world.between(100, 4000);
    let atUs = world.nowUs + Math.round(delayMs * 1000);
    if (!isReordered) {
      atUs = Math.max(atUs, this.#lastAtUs + 1);
      this.#lastAtUs = atUs;
    }
    world.after((atUs - world.nowUs) / 1000, this.#name, deliver, isWanted);
    if (!isSafe && world.fault('message duplicated', 0.01))
      world.after(
        (atUs - world.nowUs) / 1000 + random.float() * 500,
        this.#name,
        deliver,
        isWanted,
      );
  }
}
