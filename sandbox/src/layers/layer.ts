/**
 * A layer of defence around a slot process. The launcher passes the command through every layer in
 * order, tells each when the slot is ready, when a task begins and when the process ended, and asks
 * each what it really achieved.
 */
import type { Bytes } from '#libs/kernel';
import type { JobLimits } from '#libs/market';
import type { LayerReport, Verdict } from '../task.ts';

/** What will be started. */
export interface SlotCommand {
  /** Program and arguments that wrap Node, outermost first; empty when nothing does. */
  readonly prefix: readonly string[];
  readonly node: string;
  readonly nodeFlags: readonly string[];
  /** Script and its arguments. */
  readonly script: readonly string[];
  /** Files and folders the slot has to read, as the slot will see them. */
  readonly readable: readonly string[];
  /** Folders of further code, and where below the slot's own root they lie. */
  readonly libraries?: readonly { readonly from: string; readonly to: string }[];
  /** What wrappers read from descriptors 5, 6, …, each to its end. */
  readonly feeds: readonly Bytes[];
}

/** What a slot process itself found it can do; asked before any guest ran in it. */
export interface SlotProbe {
  /** Through Node with its permission model, as our own code in a slot would. */
  readonly readFile: string;
  readonly writeFile: string;
  readonly spawn: string;
  readonly interfaces: readonly string[];
  readonly environment: readonly string[];
  readonly node: string;
  readonly v8: string;
  readonly hasWebAssembly: boolean;
  /** Below Node's permission model, as native code in a slot would. */
  readonly attempts: readonly Verdict[];
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
  /** The process has ended; frees what the layer made for it. Must not throw. */
  afterEnd?(pid: number): void;
  /** The pool has been closed; frees what was kept for other slots. Must not throw. */
  close?(): void;
  /** Looks, from outside and through the slot's own probe, whether the layer holds. */
  verify(pid: number, probe: SlotProbe): Promise<Omit<LayerReport, 'name'>>;
}
