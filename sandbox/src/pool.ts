/** A provider's slots: keeps warm spares, gives each order's work a process of its own, and kills it. */
import { sandboxError } from './errors.ts';
import { slotCommand, wrapCommand } from './launch.ts';
import type { SlotLayer } from './layers/layer.ts';
import { networkNamespaceLayer } from './layers/network-namespace.ts';
import { noNewPrivilegesLayer } from './layers/no-new-privileges.ts';
import { permissionLayer } from './layers/permission.ts';
import { prlimitLayer } from './layers/prlimit.ts';
import { processFacts } from './process-facts.ts';
import { SlotTask, isolateMemoryMb } from './run-task.ts';
import { Slot } from './slot.ts';
import type { LayerReport, SandboxTask, SlotIsolation, SlotOutcome, TaskHost } from './task.ts';
import { DEFAULT_JOB_LIMITS } from '#libs/market';

export interface SlotPoolOptions {
  /** Sessions that may be open at once. */
  readonly slots: number;
  /** Started slots kept ready; default 1. */
  readonly spares?: number;
  /** Memory most jobs ask for: their isolate is made before they come. */
  readonly defaultMemoryBytes?: number;
  /** Nearest to Node first; default `defaultLayers`. Those the machine lacks are left out and reported. */
  readonly layers?: readonly SlotLayer[];
  /** Node to run slots with; default this process's own. */
  readonly node?: string;
}

/** One order's work: its tasks run one after the other, each in a fresh isolate of one process. */
export interface SlotSession {
  /** @throws SANDBOX_CANCELLED, SANDBOX_CLOSED */
  run(task: SandboxTask, host?: TaskHost): Promise<SlotOutcome>;
  /** Kills the process. */
  close(): void;
}

export interface SlotPool {
  /** What the probe found; the same for every slot of this pool. */
  readonly isolation: SlotIsolation;
  readonly freeSlots: number;
  /** @throws SANDBOX_BUSY, SANDBOX_START, SANDBOX_CLOSED */
  open(): Promise<SlotSession>;
  /** One task, one process: `open`, `run`, `close`. */
  run(task: SandboxTask, host?: TaskHost): Promise<SlotOutcome>;
  /** Kills every slot. */
  close(): void;
}

/** The layers a provider uses, nearest to Node first. */
export function defaultLayers(defaultMemoryBytes: number): SlotLayer[] {
  return [
    permissionLayer(),
    noNewPrivilegesLayer(),
    networkNamespaceLayer(),
    prlimitLayer(defaultMemoryBytes),
  ];
}

/** S1 needs these; anything stronger is claimed only by layers that this version does not have. */
const S1_LAYERS = ['permission', 'prlimit', 'watchdog'];

async function splitLayers(layers: readonly SlotLayer[]) {
  const reasons = await Promise.all(layers.map((layer) => layer.unavailable()));
  const usable = layers.filter((_, i) => reasons[i] === undefined);
  const missing = layers.flatMap((layer, i): LayerReport[] => {
    const reason = reasons[i];
    return reason === undefined ? [] : [{ name: layer.name, holds: false, evidence: reason }];
  });
  return { usable, missing };
}

async function inspect(
  slot: Slot,
  layers: readonly SlotLayer[],
  missing: readonly LayerReport[],
): Promise<SlotIsolation> {
  const probe = await slot.probe();
  const found = await Promise.all(
    layers.map(async (layer): Promise<LayerReport> => {
      try {
        return { name: layer.name, ...(await layer.verify(slot.pid, probe)) };
      } catch (error) {
        return { name: layer.name, holds: false, evidence: String(error) };
      }
    }),
  );
  const facts = processFacts(slot.pid);
  const reports: LayerReport[] = [
    {
      name: 'process',
      holds: slot.pid !== process.pid && probe.environment.length === 0,
      evidence: `own process, ${probe.environment.length} environment variables`,
    },
    {
      name: 'watchdog',
      holds: facts !== undefined && facts.residentBytes > 0,
      evidence: `resident memory and CPU of the slot ${facts === undefined ? 'cannot' : 'can'} be read from outside`,
    },
    ...found,
    ...missing,
  ];
  const holds = (name: string) => reports.some((report) => report.name === name && report.holds);
  return {
    level: S1_LAYERS.every(holds) ? 'S1' : 'S0',
    networkClosed: holds('network-namespace'),
    layers: reports,
  };
}

function checkTask({ code, params, limits }: SandboxTask): void {
  const problem =
    code.length === 0
      ? 'the code is empty'
      : code.length > 32 * 2 ** 20
        ? `the code is longer than 32 MiB (${code.length} bytes)`
        : limits.wallMs <= 0 || limits.cpuMs <= 0 || limits.memoryBytes <= 0
          ? 'wallMs, cpuMs and memoryBytes must be positive'
          : undefined;
  if (problem !== undefined) throw sandboxError('SANDBOX_TASK', problem);
  try {
    JSON.parse(params);
  } catch {
    throw sandboxError('SANDBOX_TASK', 'params is not JSON text');
  }
}

class Pool implements SlotPool {
  readonly isolation: SlotIsolation;
  readonly #start: () => Promise<Slot>;
  readonly #layers: readonly SlotLayer[];
  readonly #slots: number;
  readonly #spares: number;
  #ready: Promise<Slot>[] = [];
  readonly #used = new Set<Slot>();
  #open = 0;
  #closed = false;

  constructor(
    isolation: SlotIsolation,
    first: Slot,
    start: () => Promise<Slot>,
    layers: readonly SlotLayer[],
    { slots, spares = 1 }: SlotPoolOptions,
  ) {
    this.isolation = isolation;
    this.#start = start;
    this.#layers = layers;
    this.#slots = slots;
    this.#spares = Math.min(spares, slots);
    if (this.#spares > 0) this.#ready.push(Promise.resolve(first));
    else first.kill();
    this.#refill();
  }

  get freeSlots(): number {
    return this.#closed ? 0 : this.#slots - this.#open;
  }

  async open(): Promise<SlotSession> {
    if (this.#closed) throw sandboxError('SANDBOX_CLOSED', 'the slot pool is closed');
    if (this.#open >= this.#slots)
      throw sandboxError('SANDBOX_BUSY', `all ${this.#slots} slots are in use`);
    this.#open++;
    try {
      const slot = await this.#take();
      return this.#session(slot);
    } catch (error) {
      this.#open--;
      throw error;
    }
  }

  async run(task: SandboxTask, host: TaskHost = {}): Promise<SlotOutcome> {
    checkTask(task);
    const session = await this.open();
    try {
      return await session.run(task, host);
    } finally {
      session.close();
    }
  }

  close(): void {
    this.#closed = true;
    for (const slot of this.#used) slot.kill();
    for (const spare of this.#ready) spare.then((slot) => slot.kill()).catch(() => {});
    this.#ready = [];
  }

  async #take(): Promise<Slot> {
    // A spare may have died meanwhile (an out-of-memory killer, an operator): take the next.
    for (let spare = this.#ready.shift(); spare !== undefined; spare = this.#ready.shift()) {
      const slot = await spare.catch(() => undefined);
      // The kernel knows of its death before the event loop does.
      if (slot?.isAlive === true && processFacts(slot.pid) !== undefined) return slot;
    }
    return this.#start();
  }

  #session(slot: Slot): SlotSession {
    this.#used.add(slot);
    let open = true;
    let tasks = 0;
    const close = () => {
      if (!open) return;
      open = false;
      slot.kill();
      this.#used.delete(slot);
      this.#open--;
      this.#refill();
    };
    if (this.#closed) close();
    return {
      run: async (task, host = {}) => {
        checkTask(task);
        if (!open || !slot.isAlive)
          throw sandboxError('SANDBOX_CLOSED', 'the slot of this session has ended');
        await this.#beforeTask(slot, task, tasks++ === 0);
        return await new SlotTask(slot, task, host).run();
      },
      close,
    };
  }

  async #beforeTask(slot: Slot, { limits }: SandboxTask, isFirst: boolean): Promise<void> {
    for (const layer of this.#layers) await layer.beforeTask?.(slot.pid, limits, isFirst);
  }

  /** Starts spares after the work that needs the processor now. */
  #refill(): void {
    while (!this.#closed && this.#ready.length < this.#spares) {
      const spare = this.#start();
      // Reported by whoever takes it; a failure here must not end the process.
      spare.then((slot) => (this.#closed ? slot.kill() : undefined)).catch(() => {});
      this.#ready.push(spare);
    }
  }
}

/**
 * Starts the first slot, probes from inside and outside what really holds, and keeps spares warm.
 *
 * @example
 * const pool = await createSlotPool({ slots: 2 });
 * const { exit, output } = await pool.run({ code, inputs: {}, params: '{}', limits: DEFAULT_JOB_LIMITS });
 * pool.close();
 *
 * @throws SANDBOX_UNSUPPORTED, SANDBOX_START
 */
export async function createSlotPool(options: SlotPoolOptions): Promise<SlotPool> {
  if (processFacts(process.pid) === undefined)
    throw sandboxError(
      'SANDBOX_UNSUPPORTED',
      `limits cannot be enforced from outside on ${process.platform}: /proc is not readable`,
    );
  const memoryBytes = options.defaultMemoryBytes ?? DEFAULT_JOB_LIMITS.memoryBytes;
  const { usable, missing } = await splitLayers(options.layers ?? defaultLayers(memoryBytes));
  const bare = slotCommand(options.node ?? process.execPath, isolateMemoryMb(memoryBytes));
  const command = wrapCommand(bare, usable);
  const start = () => Slot.start(command, usable);
  const first = await start();
  try {
    const isolation = await inspect(first, usable, missing);
    return new Pool(isolation, first, start, usable, options);
  } catch (error) {
    first.kill();
    throw error;
  }
}
