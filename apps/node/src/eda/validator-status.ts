/** What a validator says of itself to operators and users. */
import type { EdaNode, EraParameters } from '#libs/eda';
import type { Chain } from '#libs/ledger';
import type { Transport } from '#libs/net';
import type { Payloads } from './payloads.ts';

/** `watches`: what it voted may be lost (docs/cluster.md). */
export type Voting = 'yes' | 'watches' | 'waits for all validators' | 'no validator';

export interface ValidatorStatus {
  readonly slot: number;
  readonly view: number;
  readonly era: number;
  readonly voting: Voting;
  readonly peers: readonly string[];
  readonly validators: readonly { readonly publicKey: string; readonly weight: number }[];
  readonly quorum: number;
  /** Of consensus, in force in this era; without a sampling rate: 200 seats, or all. */
  readonly parameters: EraParameters;
  readonly seenHeight: number;
}

export interface TentativeBlock {
  readonly block: string;
  /** This node's position of it on the axis. */
  readonly positionUs: number;
  /** Ids; empty while this node does not hold the block. */
  readonly transactions: readonly string[];
}

interface StatusParts {
  readonly chain: Chain;
  readonly transport: Transport;
  readonly seenHeight: number;
  readonly voting: Voting;
}

export function statusOf(
  { slot, view, era, parameters }: EdaNode,
  { chain, transport, seenHeight, voting }: StatusParts,
): ValidatorStatus {
  const { epsilonUs, samplingPerMille } = parameters;
  const { validators, quorum } = chain.validators(era);
  return {
    ...{ slot, view, era, voting, peers: transport.peers(), validators, quorum, seenHeight },
    parameters: { epsilonUs, ...(samplingPerMille !== undefined && { samplingPerMille }) },
  };
}

/** Blocks that are not final, in the order of this node's own positions: what a later cut may change. */
export function tentativeOf(
  node: EdaNode,
  payloads: Payloads,
  limit: number,
): readonly TentativeBlock[] {
  return node
    .tentative()
    .slice(0, limit)
    .map(({ hash, x }) => {
      const block = node.positions.held.get(hash);
      const transactions = block ? payloads.transactionsOf(block.payload) : [];
      return { block: hash, positionUs: x, transactions: transactions.map(({ id }) => id) };
    });
}
