/**
 * A validator that misbehaves: the real one, with the real key and protocol, in this process, whose
 * messages go through a twist before they leave. It signs anew whatever it changes.
 */
import { join } from 'node:path';
import { createUserContracts, systemContracts, tokenFees } from '#contracts';
import { type KeyPair, type Signer, createSigner, sha256, verifySignature } from '#libs/crypto';
import {
  type EdaMessage,
  type SignedKind,
  type SignedMessages,
  decodeMessage,
  encodeMessage,
  signedBytes,
  signingDomain,
} from '#libs/eda';
import { type Bytes, bytesToHex, utf8 } from '#libs/kernel';
import { createChain, createMempool } from '#libs/ledger';
import { NODE_PROTOCOLS, type Transport } from '#libs/net';
import { createLogger, createSystemClock } from '#libs/platform';
import { openLmdbStore } from '#libs/store';
import { createContractEngine } from '../../apps/node/src/contract-engine.ts';
import { startValidator } from '../../apps/node/src/eda/start-validator.ts';
import { createSignaturePool } from '../../apps/node/src/signature-pool.ts';
import type { Cluster } from './cluster.ts';

/** What becomes of a message to a peer: other bytes, later, or never. */
export type Twist = (
  peer: string,
  protocol: number,
  message: Bytes,
) => { readonly message: Bytes; readonly delayMs?: number } | undefined;

function twisted(transport: Transport, twist: () => Twist): Transport {
  const send: Transport['send'] = (peer, protocol, message) => {
    const outcome = twist()(peer, protocol, message);
    if (!outcome) return 'queued';
    if (outcome.delayMs === undefined) return transport.send(peer, protocol, outcome.message);
    setTimeout(() => transport.send(peer, protocol, outcome.message), outcome.delayMs);
    return 'queued';
  };
  return new Proxy(transport, {
    get(target, name) {
      if (name === 'send') return send;
      if (name === 'broadcast')
        return (protocol: number, message: Bytes, peers?: Iterable<string>) => {
          for (const peer of peers ?? target.peers()) send(peer, protocol, message);
          return 0;
        };
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

function sealAnew(signer: Signer, message: EdaMessage, change: object): Bytes {
  const { kind } = message as { kind: SignedKind };
  const before = (message as unknown as { message: object }).message;
  const said = { ...before, ...change } as SignedMessages[SignedKind];
  const signature = signer.sign(signingDomain(kind), signedBytes(kind, said));
  return encodeMessage({ ...message, message: said, signature } as unknown as EdaMessage);
}

const other = (hash: string): string => bytesToHex(sha256(utf8(`not ${hash}`)));

/** Says one thing to these peers and another to the rest, in everything that it signs. */
export function createLiar({ seed }: KeyPair, fooled: readonly string[]): Twist {
  const signer = createSigner(seed);
  return (peer, protocol, bytes) => {
    if (!fooled.includes(peer) || protocol !== NODE_PROTOCOLS.votes.id) return { message: bytes };
    const message = decodeMessage(bytes);
    if (!('message' in message)) return { message: bytes };
    const said = message.message as { axis?: number; hash?: string; timeUs?: number };
    if (message.kind === 'tick')
      return { message: sealAnew(signer, message, { axis: (said.axis ?? 0) + 700_000 }) };
    if (message.kind === 'prepare' || message.kind === 'commit' || message.kind === 'attest')
      return { message: sealAnew(signer, message, { hash: other(said.hash ?? '') }) };
    if (message.kind === 'newview')
      return {
        message: sealAnew(signer, message, {
          timeUs: (said.timeUs ?? 0) + 60_000_000,
          highQc: null,
        }),
      };
    return { message: bytes };
  };
}

export const silent: Twist = () => undefined;
export const slow: Twist = (_peer, _protocol, message) => ({
  message,
  delayMs: 500 + Math.random() * 1_500,
});
export const honest: Twist = (_peer, _protocol, message) => ({ message });
export const onlyTo =
  (peers: readonly string[]): Twist =>
  (peer, _protocol, message) =>
    peers.includes(peer) ? { message } : undefined;

/** Takes the place of a node of the cluster that was never started. */
export async function startTwisted(
  cluster: Cluster,
  node: number,
): Promise<{ twist(by: Twist): void; height(): number; stop(): Promise<void> }> {
  const { genesis, keys } = cluster;
  const { seed } = keys[node] as KeyPair;
  if (genesis.ordering.kind !== 'eda') throw new Error('a chain of one sequencer');
  const store = openLmdbStore({ path: join(cluster.home(node), 'twisted') });
  const userContracts = createUserContracts(createContractEngine(16 * 1024 * 1024));
  const chain = await createChain({
    genesis,
    contracts: [...systemContracts, userContracts.contract],
    userContracts: userContracts.port,
    fees: tokenFees,
    store,
    verifySignature,
  });
  const fail = (error: unknown): never => {
    throw error;
  };
  const signatures = createSignaturePool(0, fail);
  const mempool = createMempool({ chain: chain.id, limits: chain.limits, accounts: chain });
  let twist = honest;
  const { producer } = await startValidator({
    chain,
    ordering: genesis.ordering,
    mempool,
    store,
    signer: createSigner(seed),
    seed,
    signatures,
    clock: createSystemClock(),
    logger: createLogger({ name: `twisted ${node}`, level: 'fatal' }),
    directory: join(cluster.home(node), 'twisted'),
    listen: cluster.address(node),
    peers: cluster.peers,
    journalBytes: 64 * 1024 * 1024,
    journalLost: false,
    wrap: (transport) => twisted(transport, () => twist),
  });
  let isStopping = false;
  const running = (async () => {
    while (!isStopping) await producer.step();
  })();
  return {
    twist(by) {
      twist = by;
    },
    height: () => chain.head.header.height,
    async stop() {
      isStopping = true;
      await producer.stop();
      await running;
      await signatures.close();
      await store.close();
    },
  };
}
