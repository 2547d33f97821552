/** The queue as BullMQ is: durable, at least once, keyed; and worse: messages may vanish. */
import type { World } from './world.ts';

type Handler = (order: string, binding: number, done: () => void) => void;

export class BindingQueue {
  readonly #world: World;
  readonly #jobs = new Map<string, { readonly order: string; readonly binding: number }>();
  #handler: Handler | undefined;
  #isAlive: () => boolean = () => false;

  constructor(world: World) {
    this.#world = world;
  }

  get size(): number {
    return this.#jobs.size;
  }

  add(key: string, order: string, binding: number): void {
    if (this.#jobs.has(key)) return;
    if (this.#world.fault('queue message lost', 0.02)) return;
    this.#jobs.set(key, { order, binding });
    this.#deliver(key);
  }

  /** The worker is up again: whatever was not acknowledged stalls a while and comes again. */
  attach(handler: Handler, isAlive: () => boolean): void {
    this.#handler = handler;
    this.#isAlive = isAlive;
    for (const key of this.#jobs.keys())
      this.#world.after(this.#world.between(100, 2000), 'stalled', () => this.#run(key), isAlive);
  }

  #deliver(key: string): void {
    const late = this.#world.fault('queue message late', 0.02);
    const delayMs = late ? this.#world.between(500, 6000) : this.#world.between(1, 10);
    this.#world.after(delayMs, 'binding', () => this.#run(key), this.#isAlive);
    if (this.#world.fault('queue message twice', 0.03))
      this.#world.after(delayMs + 3, 'binding', () => this.#run(key), this.#isAlive);
  }

  #run(key: string): void {
    const job = this.#jobs.get(key);
    if (job) this.#handler?.(job.order, job.binding, () => this.#jobs.delete(key));
  }
}
