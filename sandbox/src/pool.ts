/** A provider's slots: keeps warm spares, gives each order's work a process of its own, and kills it. */
import { sandboxError } from './errors.ts';
import { inspectIsolation } from './isolation.ts';
import { findAddon, slotCommand, wrapCommand } from './launch.ts';
import { cgroupLayer } from './layers/cgroup.ts';
import type { SlotCommand, SlotLayer } from './layers/layer.ts';
import { type NamespaceTool, namespacesLayer } from './layers/namespaces.ts';
import { networkNamespaceLayer } from './layers/network-namespace.ts';
import { noNewPrivilegesLayer } from './layers/no-new-privileges.ts';
import { permissionLayer } from './layers/permission.ts';
import { prlimitLayer } from './layers/prlimit.ts';
import { seccompLayer } from './layers/seccomp.ts';
import {
  type MeteredSlots,
  createMeteredSlots,
  meteredProblem,
  preparedJsEngine,
} from './metered-slots.ts';
import { canUseNodeSnapshot } from './node-snapshot.ts';
import { preciseCpuMs, processFacts } from './process-facts.ts';
import { SlotTask, isolateMemoryMb } from './run-task.ts';
import { Slot } from './slot.ts';
import type { SlotProgram } from './slot-files.ts';
import type { LayerReport, SandboxTask, SlotIsolation, SlotOutcome, TaskHost } from './task.ts';
import { DEFAULT_JOB_LIMITS, JOB_KINDS, type JobKind } from '#libs/market';
import { jobProgramOf } from '#libs/vm';

export interface SlotPoolOptions {
  /** Sessions that may be open at once. */
  readonly slots: number;
  /** Started slots kept ready; default 1. */
  readonly spares?: number;
  /** Memory most jobs ask for: their isolate is made before they come. */
  readonly defaultMemoryBytes?: number;
  /** In the order in which they change the command; default `defaultLayers`. Those the machine lacks are left out and reported. */
  readonly layers?: readonly SlotLayer[];
  /** Node to run slots with; default this process's own. */
  readonly node?: string;
  /** Kinds of job to run; default all that the machine can. */
  readonly kinds?: readonly JobKind[];
  /** Slots run without V8's compilers: slower, no WebAssembly, far less to attack. Flag `J`. */
  readonly jitless?: boolean;
}

/** One order's work: its tasks run one after the other, each in a fresh context of one process. */
export interface SlotSession {
  /** @throws SANDBOX_CANCELLED, SANDBOX_CLOSED */
  run(task: SandboxTask, host?: TaskHost): Promise<SlotOutcome>;
  /** False once the process has ended: by `close`, by a limit, by a crash. */
  readonly isOpen: boolean;
  /** True until a task has run in its process. */
  readonly isFresh: boolean;
  /** CPU time of the process since it started, in milliseconds; 0 once it has ended. */
  readonly cpuMs: number;
  /** Kills the process. */
  close(): void;
  /**
   * Ends the session, but leaves its process for the next one of the same order, if that comes within a
   * moment. Of an order that was not named the process is killed.
   */
  park(): void;
}

export interface SlotPool {
  /** What the last probe found; the same for every slot of this pool. */
  readonly isolation: SlotIsolation;
  /** Probes again, in slots of its own. @throws SANDBOX_START, SANDBOX_CLOSED */
  probe(): Promise<SlotIsolation>;
  readonly freeSlots: number;
  /** Kinds of job that run here; metered ones were tried at the start. */
  readonly kinds: readonly JobKind[];
  /** Why metered jobs do not run here, where they were wanted. */
  readonly meteredProblem: string | undefined;
  /**
   * With `metered`, for metered tasks only, and at most so much CPU time in all. With `order`, what names
   * the order, in a process that it left parked, where there is one: never in another order's.
   * @throws SANDBOX_BUSY, SANDBOX_START, SANDBOX_CLOSED
   */
  open(metered?: { readonly cpuMs: number }, order?: string): Promise<SlotSession>;
  /** One task, one process: `open`, `run`, `close`. */
  run(task: SandboxTask, host?: TaskHost): Promise<SlotOutcome>;
  /** Kills every slot. */
  close(): void;
}

/** The layers a provider uses, in the order in which they change the command. */
export function defaultLayers(
  defaultMemoryBytes: number,
  tools?: readonly NamespaceTool[],
): SlotLayer[] {
  return [
    namespacesLayer(tools),
    seccompLayer(),
    permissionLayer(),
    noNewPrivilegesLayer(),
    networkNamespaceLayer(),
    prlimitLayer(defaultMemoryBytes),
    cgroupLayer(defaultMemoryBytes),
  ];
}

async function splitLayers(layers: readonly SlotLayer[]) {
  const reasons = await Promise.all(layers.map((layer) => layer.unavailable()));
  const usable = layers.filter((_, i) => reasons[i] === undefined);
  const missing = layers.flatMap((layer, i): LayerReport[] => {
    const reason = reasons[i];
    return reason === undefined ? [] : [{ name: layer.name, holds: false, evidence: reason }];
  });
  return { usable, missing };
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

/** A parked process is killed then: what a task may have left running there is nobody's work. */
const PARKED_MS = 250;

class Pool implements SlotPool {
  isolation: SlotIsolation;
  readonly kinds: readonly JobKind[];
  readonly meteredProblem: string | undefined;
  readonly #metered: MeteredSlots;
  readonly #inspect: (slot: Slot) => Promise<SlotIsolation>;
  readonly #start: () => Promise<Slot>;
  readonly #layers: readonly SlotLayer[];
  readonly #slots: number;
  readonly #spares: number;
  #ready: Promise<Slot>[] = [];
  readonly #used = new Set<Slot>();
  /** By the order that they served. */
  readonly #parked = new Map<Slot, { readonly order: string; readonly timer: NodeJS.Timeout }>();
  #open = 0;
  #closed = false;

  constructor(
    isolation: SlotIsolation,
    inspect: (slot: Slot) => Promise<SlotIsolation>,
    start: () => Promise<Slot>,
    layers: readonly SlotLayer[],
    metered: MeteredSlots & { readonly problem: string | undefined },
    { slots, spares = 1, kinds = JOB_KINDS }: SlotPoolOptions,
  ) {
    this.#metered = metered;
    this.meteredProblem = metered.problem;
    this.kinds = JOB_KINDS.filter(
      (kind) => kinds.includes(kind) && (kind === 'js' || metered.problem === undefined),
    );
    this.isolation = isolation;
    this.#inspect = inspect;
    this.#start = start;
    this.#layers = layers;
    this.#slots = slots;
    this.#spares = this.kinds.includes('js') ? Math.min(spares, slots) : 0;
    this.#refill();
  }

  get freeSlots(): number {
    return this.#closed ? 0 : this.#slots - this.#open;
  }

  async probe(): Promise<SlotIsolation> {
    if (this.#closed) throw sandboxError('SANDBOX_CLOSED', 'the slot pool is closed');
    this.isolation = await this.#inspect(await this.#start());
    return this.isolation;
  }

  async open(metered?: { readonly cpuMs: number }, order?: string): Promise<SlotSession> {
    if (this.#closed) throw sandboxError('SANDBOX_CLOSED', 'the slot pool is closed');
    if (this.#open >= this.#slots)
      throw sandboxError('SANDBOX_BUSY', `all ${this.#slots} slots are in use`);
    this.#open++;
    try {
      const parked = metered ? undefined : this.#unpark(order);
      const slot =
        parked ?? (metered ? await this.#metered.start(metered.cpuMs) : await this.#take());
      return this.#session(slot, metered !== undefined, order);
    } catch (error) {
      this.#open--;
      throw error;
    }
  }

  async run(task: SandboxTask, host: TaskHost = {}): Promise<SlotOutcome> {
    checkTask(task);
    const session = await this.open(task.metered && task.limits);
    try {
      return await session.run(task, host);
    } finally {
      session.close();
    }
  }

  close(): void {
    this.#closed = true;
    for (const { timer } of this.#parked.values()) clearTimeout(timer);
    for (const slot of this.#used) slot.kill();
    for (const spare of this.#ready) spare.then((slot) => slot.kill()).catch(() => {});
    this.#ready = [];
    for (const layer of this.#layers) layer.close?.();
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

  #end(slot: Slot): void {
    this.#parked.delete(slot);
    slot.kill();
    this.#used.delete(slot);
    this.#refill();
  }

  #park(slot: Slot, order: string): void {
    const timer = setTimeout(() => this.#end(slot), PARKED_MS);
    this.#parked.set(slot, { order, timer });
  }

  #unpark(order: string | undefined): Slot | undefined {
    for (const [slot, { order: its, timer }] of this.#parked) {
      if (its !== order) continue;
      clearTimeout(timer);
      this.#parked.delete(slot);
      if (slot.isAlive) return slot;
      this.#end(slot);
    }
    return undefined;
  }

  #session(slot: Slot, isMetered: boolean, order: string | undefined): SlotSession {
    this.#used.add(slot);
    let open = true;
    const close = () => {
      if (!open) return;
      open = false;
      this.#open--;
      this.#end(slot);
    };
    if (this.#closed) close();
    return {
      get isOpen() {
        return open && slot.isAlive;
      },
      get isFresh() {
        return slot.isFresh;
      },
      get cpuMs() {
        return preciseCpuMs(slot.pid) ?? processFacts(slot.pid)?.cpuMs ?? 0;
      },
      run: async (task, host = {}) => {
        checkTask(task);
        if (isMetered !== (task.metered !== undefined))
          throw sandboxError(
            'SANDBOX_TASK',
            'the task is not of the kind this slot was opened for',
          );
        if (!open || !slot.isAlive)
          throw sandboxError('SANDBOX_CLOSED', 'the slot of this session has ended');
        // Memory of a metered guest must never fail by the kernel's limit: that is no result.
        await this.#beforeTask(slot, task, slot.isFresh && !isMetered);
        slot.isFresh = false;
        if (task.metered?.kind === 'verifiable' && jobProgramOf(task.code).kind === 'js')
          await slot.loadEngine(preparedJsEngine());
        return await new SlotTask(slot, task, host).run();
      },
      close,
      park: () => {
        if (!open || isMetered || order === undefined || !slot.isAlive || this.#closed)
          return close();
        open = false;
        this.#open--;
        this.#park(slot, order);
      },
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
  const { jitless = false } = options;
  const node = options.node ?? process.execPath;
  const addon = findAddon();
  const [split, nodeSnapshot] = await Promise.all([
    splitLayers(options.layers ?? defaultLayers(memoryBytes)),
    canUseNodeSnapshot(node, addon),
  ]);
  const bare = (program: SlotProgram) =>
    slotCommand(node, isolateMemoryMb(memoryBytes), { program, jitless, nodeSnapshot });
  const { first, usable, missing } = await startFirst(bare('slot-main'), split);
  const command = wrapCommand(bare('slot-main'), usable);
  const below = usable.filter(({ name }) => name !== 'permission');
  const probeCommand = wrapCommand(bare('probe-main'), below);
  const start = () => Slot.start(command, usable);
  const { script } = bare('slot-main');
  const inspect = (slot: Slot) =>
    inspectIsolation({
      ...{ slot, layers: usable, missing, files: [node, ...script.slice(0, 2)] },
      startProbe: () => Slot.start(probeCommand, below),
    });
  const inspected = inspect(first);
  inspected.catch(() => {}); // met below, after the other probe
  const slots = createMeteredSlots(node, usable);
  const { kinds = JOB_KINDS } = options;
  const isWanted = kinds.some((kind) => kind !== 'js');
  const problem = jitless
    ? 'slots run without WebAssembly'
    : isWanted
      ? await meteredProblem(slots, usable, inspected)
      : undefined;
  return new Pool(await inspected, inspect, start, usable, { ...slots, problem }, options);
}

/** Layers that can keep a slot from starting on an unusual machine, the first to be left out first. */
const SUSPECTS = ['cgroup', 'seccomp', 'namespaces', 'network-namespace', 'no-new-privileges'];

/** Starts with every usable layer; what keeps Node from starting is left out, and reported. */
async function startFirst(
  bare: SlotCommand,
  { usable, missing }: Awaited<ReturnType<typeof splitLayers>>,
) {
  const present = SUSPECTS.filter((name) => usable.some((layer) => layer.name === name));
  let failure: unknown;
  for (const left of [[], ...present.map((name) => [name]), present]) {
    const layers = usable.filter(({ name }) => !left.includes(name));
    try {
      const first = await Slot.start(wrapCommand(bare, layers), layers);
      const evidence = `no slot starts with it: ${String(failure)}`.slice(0, 300);
      const dropped = left.map((name): LayerReport => ({ name, holds: false, evidence }));
      return { first, usable: layers, missing: [...missing, ...dropped] };
    } catch (error) {
      failure ??= error;
    }
  }
  throw failure;
}
