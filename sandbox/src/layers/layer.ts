/**
 * A layer of defence around a slot process. The launcher passes the command through every layer in
 * order (the first is nearest to Node, the last is what the kernel starts), tells each when the slot
 * is ready and when a task begins, and asks each at the end what it really achieved.
 */
import type { JobLimits } from '#libs/market';
import type { LayerReport } from '../task.ts';

/** What will be started. */
export interface SlotCommand {
  /** Program and arguments that wrap Node, outermost first; empty when nothing does. */
  readonly prefix: readonly string[];
  readonly node: string;
  readonly nodeFlags: readonly string[];
  /** Script and its arguments. */
  readonly script: readonly string[];
  /** Files and folders the slot has to read. */
  readonly readable: readonly string[];
}

/** What the slot process itself found it can do; asked before any guest ran in it. */
export interface SlotProbe {
  readonly readFile: string;
  readonly writeFile: string;
  readonly spawn: string;
  readonly interfaces: readonly string[];
  readonly environment: readonly string[];
  readonly node: string;
  readonly v8: string;
}

export interface SlotLayer {
  readonly name: string;
  /** Why this machine cannot have it; `undefined` when it can. Asked once. */
  unavailable(): Promise<string | undefined>;
  /** Changes the command. */
  wrap?(command: SlotCommand): SlotCommand;
  /** The slot is ready and has seen no guest; takes rights away from outside. */
  afterReady?(pid: number): Promise<void>;
  /**
   * A task with these limits is about to begin; `isFirst` when the slot is fresh. The task waits, so
   * do nothing where what `afterReady` set will do.
   */
  beforeTask?(pid: number, limits: JobLimits, isFirst: boolean): Promise<void>;
  /** Looks, from outside and through the slot's own probe, whether the layer holds. */
  verify(pid: number, probe: SlotProbe): Promise<Omit<LayerReport, 'name'>>;
}
