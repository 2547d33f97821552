/** The kinds of traffic between nodes of one chain. */
import type { ProtocolRules } from './transport.ts';

const MEBIBYTE = 1024 * 1024;

export const NODE_PROTOCOLS = {
  /** Ticks, votes, proposals, cuts: late ones are worthless, so they go first. */
  votes: {
    id: 1,
    name: 'votes',
    priority: 0,
    maxMessageBytes: 8 * MEBIBYTE,
    queueBytes: 16 * MEBIBYTE,
    maxAgeMs: 10_000,
  },
  /** Blocks of transactions with their payload. */
  blocks: {
    id: 2,
    name: 'blocks',
    priority: 1,
    maxMessageBytes: 2 * MEBIBYTE,
    queueBytes: 32 * MEBIBYTE,
    maxAgeMs: 30_000,
  },
  transactions: {
    id: 3,
    name: 'transactions',
    priority: 2,
    maxMessageBytes: MEBIBYTE,
    queueBytes: 8 * MEBIBYTE,
    maxAgeMs: 10_000,
    receiveBytesPerSecond: 16 * MEBIBYTE,
  },
  /** Catching up: requests and their answers. */
  sync: {
    id: 4,
    name: 'sync',
    priority: 3,
    maxMessageBytes: 4 * MEBIBYTE,
    queueBytes: 16 * MEBIBYTE,
  },
  /** Signatures over the results of executed cuts. */
  results: {
    id: 5,
    name: 'results',
    priority: 0,
    maxMessageBytes: 64 * 1024,
    queueBytes: MEBIBYTE,
    maxAgeMs: 30_000,
  },
  /** State with proofs, for nodes that do not replay. */
  snapshot: {
    id: 6,
    name: 'snapshot',
    priority: 3,
    maxMessageBytes: 4 * MEBIBYTE,
    queueBytes: 16 * MEBIBYTE,
  },
} as const satisfies Record<string, ProtocolRules>;
