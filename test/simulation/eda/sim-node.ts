/** A simulated validator, and what a simulated network is made from. */
import type { EdaNode, EdaParameters, EdaRules, JournalRecord, Profile, Roots } from '#libs/eda';
import type { Behaviour } from './adversaries.ts';
import type { LinkModel } from './links.ts';

export interface WorldOptions {
  readonly seed: number;
  readonly nodes: number;
  readonly weights?: readonly number[];
  readonly profile?: Profile;
  readonly parameters?: Partial<EdaParameters>;
  readonly rules?: Partial<EdaRules>;
  /** One-way delay of a link, drawn evenly. */
  readonly delayUs?: readonly [number, number];
  readonly loss?: number;
  /** So many of the nodes are validators at genesis; the others may join. Default all. */
  readonly members?: number;
  /** Validators have BLS keys: sets above 64 sample ticks and add votes up. */
  readonly bls?: boolean;
  /** Clock offset of each node. */
  readonly clockUs?: (node: number) => number;
  /** A second process with the key of this node; both count as liars. */
  readonly twinOf?: number;
  readonly behaviours?: ReadonlyMap<number, Behaviour>;
  /** Messages go through the codecs. */
  readonly wire?: boolean;
  readonly genesisTimeUs?: number;
  /** Count the bytes of every message (costs an encoding per message). */
  readonly measures?: boolean;
  /** Links of finite speed and nodes that take time to think; without it only delays. */
  readonly links?: LinkModel;
  /** The journal is not synced before messages leave: what a crash then loses. */
  readonly forgetful?: boolean;
}

export const GENESIS_US = 1_900_000_000_000_000 + 1_000_000;
export const ROOTS: Roots = {
  stateRoot: '11'.repeat(32),
  receiptsRoot: '22'.repeat(32),
  outboxRoot: '33'.repeat(32),
};

export interface SimNode {
  readonly index: number;
  readonly key: string;
  readonly behaviour: Behaviour | undefined;
  node: EdaNode | undefined;
  journal: JournalRecord[];
  /** Records that a crash would lose. */
  unsynced: number;
  clockUs: number;
  wakeAtUs: number;
  roots: Roots;
  executedSlot: number;
  generation: number;
  /** Stop in the middle of carrying out effects: after so many more of them. */
  crashIn: number;
  /** When it voted again after its journal was lost. */
  recoveredAtUs: number | undefined;
}
