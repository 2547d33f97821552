/** A replica of the PBFT baseline and what it says. */
import type { LinkModel } from './links.ts';

export interface PbftOptions {
  readonly nodes: number;
  readonly failed: number;
  readonly linksLost: number;
  readonly blocks: number;
  readonly seed: number;
  readonly delayUs: readonly [number, number];
  /** Links of finite speed and replicas that take time to think; without it only delays. */
  readonly links?: LinkModel;
  /** Transactions that the leader puts into a block. */
  readonly blockTransactions?: number;
  /** Separate dissemination: every replica spreads batches so often, a block lists their names. */
  readonly batches?: { readonly transactions: number; readonly everyUs: number };
  readonly timeoutUs?: number;
  readonly maxUs?: number;
}

export interface PbftResult {
  readonly decided: number;
  readonly votes: number;
  readonly messages: number;
  readonly bytes: number;
  readonly finalityMs: number | null;
  readonly views: number;
  readonly violations: number;
  readonly checked: number;
  readonly durationUs: number;
  /** Each block's time of decision and how many transactions it orders. */
  readonly ordered: readonly { readonly atUs: number; readonly transactions: number }[];
}

export interface Prepared {
  readonly view: number;
  readonly value: number;
}
export type Message =
  | {
      readonly kind: 'preprepare';
      readonly view: number;
      readonly seq: number;
      readonly value: number;
    }
  | {
      readonly kind: 'prepare' | 'commit';
      readonly view: number;
      readonly seq: number;
      readonly value: number;
    }
  | {
      readonly kind: 'viewchange';
      readonly view: number;
      readonly seq: number;
      readonly prepared?: Prepared;
    }
  | {
      readonly kind: 'newview';
      readonly view: number;
      readonly seq: number;
      readonly value: number;
    }
  | { readonly kind: 'decided'; readonly seq: number; readonly value: number }
  | { readonly kind: 'batch'; readonly seq: number; readonly batch: number };

export interface Replica {
  readonly index: number;
  isLive: boolean;
  view: number;
  seq: number;
  isChanging: boolean;
  prepared: Prepared | undefined;
  readonly log: number[];
  readonly votes: Map<string, Set<number>>;
  readonly changes: Map<number, Map<number, Prepared | undefined>>;
  timeoutUs: number;
  timer: number;
  proposedView: number;
  /** Batches held, by number, and those not ordered yet. */
  readonly held: Set<number>;
  readonly open: Set<number>;
  /** A proposal that lists batches not held yet. */
  waiting: { readonly from: number; readonly message: Proposal } | undefined;
  /** Messages of later slots. */
  ahead: { readonly from: number; readonly message: Message }[];
}

export type Proposal = Extract<Message, { kind: 'preprepare' | 'newview' }>;

export function createReplica(index: number, isLive: boolean, timeoutUs: number): Replica {
  return {
    index,
    isLive,
    view: 0,
    seq: 0,
    isChanging: false,
    prepared: undefined,
    log: [],
    votes: new Map(),
    changes: new Map(),
    timeoutUs,
    timer: 0,
    proposedView: -1,
    held: new Set(),
    open: new Set(),
    waiting: undefined,
    ahead: [],
  };
}
