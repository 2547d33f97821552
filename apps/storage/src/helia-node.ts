/**
 * Helia, for what blocks on this disk cannot do: peers. Light on purpose: TCP, noise, yamux and
 * bitswap with the peers somebody connects; no public bootstrap, mDNS, UPnP, AutoTLS or gateways.
 */
import { join } from 'node:path';

import type { Bytes } from '#libs/kernel';
import { storageError } from '#libs/storage';
import { withBitswap } from '@helia/bitswap';
import { withLibp2pLight } from '@helia/libp2p';
import { identify } from '@libp2p/identify';
import { noise } from '@libp2p/noise';
import { tcp } from '@libp2p/tcp';
import { yamux } from '@libp2p/yamux';
import { multiaddr } from '@multiformats/multiaddr';
import { FsDatastore } from 'datastore-fs';
import { createHeliaLight } from 'helia';
import type { CID } from 'multiformats/cid';

import type { DurableBlockstore } from './store/durable-blockstore.ts';

export const AGENT = 'seele-storage/0.1.0';

export interface Peer {
  readonly id: string;
  readonly address: string;
  readonly direction: 'inbound' | 'outbound';
  readonly muxer: string;
}

export interface HeliaNode {
  readonly id: string;
  readonly publicKey: Bytes;
  addresses(): string[];
  peers(): Peer[];
  peerCount(): number;
  connect(address: string, signal?: AbortSignal): Promise<string>;
  /** A block from peers, checked and stored. */
  fetch(cid: CID, signal: AbortSignal): Promise<Bytes>;
  close(): Promise<void>;
}

export interface HeliaOptions {
  readonly store: DurableBlockstore;
  readonly home: string;
  readonly swarm: readonly string[];
}

export async function openHelia({ store, home, swarm }: HeliaOptions): Promise<HeliaNode> {
  const datastore = new FsDatastore(join(home, 'peer'));
  await datastore.open();
  const light = createHeliaLight({ blockstore: store, datastore });
  const withPeers = withLibp2pLight(light, {
    addresses: { listen: [...swarm] },
    transports: swarm.length === 0 ? [] : [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: { identify: identify() },
    nodeInfo: { userAgent: AGENT },
  });
  const helia = withBitswap(withPeers);
  await helia.start();
  const { libp2p } = helia;

  return {
    id: libp2p.peerId.toString(),
    publicKey: libp2p.peerId.publicKey?.raw ?? new Uint8Array(),
    addresses: () => libp2p.getMultiaddrs().map((address) => address.toString()),
    peers: () =>
      libp2p.getConnections().map((connection) => ({
        id: connection.remotePeer.toString(),
        address: connection.remoteAddr.toString(),
        direction: connection.direction,
        muxer: connection.multiplexer ?? '',
      })),
    peerCount: () => libp2p.getConnections().length,
    async connect(address, signal) {
      let target;
      try {
        target = multiaddr(address);
      } catch {
        throw storageError('STORAGE_MALFORMED', `${JSON.stringify(address)} is not a multiaddr`);
      }
      try {
        const connection = await libp2p.dial(target, signal ? { signal } : {});
        return connection.remotePeer.toString();
      } catch (error) {
        signal?.throwIfAborted();
        throw storageError('STORAGE_UNAVAILABLE', `cannot dial ${address}: ${String(error)}`);
      }
    },
    async fetch(cid, signal) {
      const parts: Uint8Array[] = [];
      for await (const part of helia.blockstore.get(cid, { signal })) parts.push(part);
      return parts.length === 1 ? (parts[0] as Bytes) : Buffer.concat(parts);
    },
    async close() {
      await helia.stop();
      await datastore.close();
    },
  };
}
