/** What a placement policy is: it chooses, it never binds. */
import type { Cluster } from './cluster.ts';
import type { TaskShape } from './shape.ts';

/** Where a task goes. */
export interface Choice {
  readonly node: number;
  /** The GPUs as bits. */
  readonly gpuMask: number;
}

export interface Policy {
  readonly name: string;
  /** A machine with room for the shape, or undefined when it knows none. Changes nothing. */
  choose(shape: TaskShape): Choice | undefined;
  /** Told of every task once, when it arrives, before it is placed. */
  arrived?(shape: TaskShape): void;
  /** Told after every change of a node, so that what it keeps stays true. */
  changed?(node: number): void;
}

/** Uniform draws, as `SeededRandomness` of kernel gives them. */
export interface Draws {
  below(below: number): number;
}

/** What the policies of the published comparison need. */
export interface PolicyContext {
  readonly cluster: Cluster;
  /** `ranks[node]`: equal scores go to the smallest rank. */
  readonly ranks: ArrayLike<number>;
}
