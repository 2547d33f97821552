/**
 * Net: links between nodes. The transport port with its TCP and in-memory adapters, requests over
 * it, gossip, and state synchronisation with proofs.
 *
 * Owns: sockets, who may be linked, framing, priorities and limits, what is fetched from whom and
 * how it is verified. Does not own: what messages mean (`eda`, apps/node), where blocks and state lie
 * (callbacks of the host).
 *
 * @example
 * const transport = createTcpTransport({ signer, network: genesisId, protocols, admit, clock,
 *   randomness, host: '127.0.0.1', port: 0 });
 * transport.onMessage(1, (peer, bytes) => handle(peer, bytes));
 * await transport.listen();
 * transport.dial(peerKey, '10.0.0.2:7410');
 * transport.broadcast(1, encodeMessage(vote));
 */
export * from './errors.ts';
export * from './gossip.ts';
export * from './limits.ts';
export * from './memory-network.ts';
export * from './node-timers.ts';
export * from './options.ts';
export * from './protocols.ts';
export * from './requests.ts';
export * from './snapshot-client.ts';
export {
  ANCHOR_MAX_BYTES,
  type SnapshotOffer,
  decodeAnswer,
  decodeQuestion,
  encodeAnswer,
  encodeQuestion,
} from './snapshot-messages.ts';
export * from './snapshot-server.ts';
export * from './tcp-transport.ts';
export * from './transport.ts';
export type { Timers } from './wire.ts';
