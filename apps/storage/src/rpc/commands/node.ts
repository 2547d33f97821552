/** `version`, `id`, `repo/…`, `refs/local`, `swarm/…`: the node itself. */
import { base64 } from 'multiformats/bases/base64';

import { AGENT } from '../../helia-node.ts';
import { diskSpace } from '../../store/disk.ts';
import { cidOfKey } from '../../store/durable-blockstore.ts';
import type { Call } from '../call.ts';

const REPO_VERSION = '1';

export async function version({ reply }: Call): Promise<void> {
  reply.json({
    Version: AGENT.slice(AGENT.indexOf('/') + 1),
    Commit: '',
    Repo: REPO_VERSION,
    System: `${process.arch}/${process.platform}`,
    Golang: '',
  });
}

export async function id({ node, reply }: Call): Promise<void> {
  const { helia } = node;
  reply.json({
    ID: helia.id,
    PublicKey: base64.encode(helia.publicKey).slice(1),
    Addresses: helia.addresses().map(withPeer(helia.id)),
    AgentVersion: AGENT,
    Protocols: ['/ipfs/bitswap/1.2.0', '/ipfs/id/1.0.0'],
  });
}

const withPeer = (peer: string) => (address: string) =>
  address.includes('/p2p/') ? address : `${address}/p2p/${peer}`;

export async function repoStat({ node, parameters, reply, signal }: Call): Promise<void> {
  const space = await diskSpace(node.home);
  let RepoSize = 0;
  let NumObjects = 0;
  for await (const block of node.store.blocks()) {
    signal.throwIfAborted();
    RepoSize += block.sizeBytes;
    NumObjects++;
  }
  const size = { RepoSize, StorageMax: RepoSize + space.freeBytes };
  if (parameters.flag('size-only', false)) return reply.json(size);
  reply.json({ ...size, NumObjects, RepoPath: node.home, Version: `fs-repo@${REPO_VERSION}` });
}

export async function repoVersion({ reply }: Call): Promise<void> {
  reply.json({ Version: REPO_VERSION });
}

export async function repoGc({ node, reply, signal, parameters }: Call): Promise<void> {
  const silent = parameters.flag('silent', false);
  for await (const cid of node.collector.collect(signal))
    if (!silent) await reply.line({ Key: { '/': cid.toString() } });
  reply.endLines();
}

export async function refsLocal({ node, reply, signal }: Call): Promise<void> {
  for await (const { key } of node.store.blocks()) {
    signal.throwIfAborted();
    await reply.line({ Ref: cidOfKey(key).toString(), Err: '' });
  }
  reply.endLines();
}

export async function swarmConnect({ node, parameters, reply, signal }: Call): Promise<void> {
  parameters.arg();
  const Strings: string[] = [];
  for (const address of parameters.args)
    Strings.push(`connect ${await node.helia.connect(address, signal)} success`);
  reply.json({ Strings });
}

export async function swarmPeers({ node, reply }: Call): Promise<void> {
  reply.json({
    Peers: node.helia.peers().map((peer) => ({
      Addr: peer.address,
      Peer: peer.id,
      Direction: peer.direction === 'inbound' ? 0 : 1,
      Latency: 'n/a',
      Muxer: peer.muxer,
      Streams: null,
    })),
  });
}
