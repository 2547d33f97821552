import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { createKuboBlobStore, kuboAddProfile } from '#libs/storage';
import { createHeliaLight } from 'helia';
import { unixfs } from '@helia/unixfs';
import { CID } from 'multiformats/cid';
import { mkdtemp, rm } from 'node:fs/promises';
import { openDurableBlockstore } from '../../apps/storage/src/store/durable-blockstore.ts';
import { startStorage } from '../e2e/storage-process.ts';
const N = 100_000_000;
const bytes = Buffer.alloc(N);
const w = new Uint32Array(bytes.buffer, bytes.byteOffset, N >> 2);
let s = 12345; for (let i = 0; i < w.length; i++) { s ^= s << 13; s ^= s >>> 17; s ^= s << 5; w[i] = s; }
async function* inChunks() { for (let at = 0; at < N; at += 1 << 20) yield bytes.subarray(at, at + (1 << 20)); }
const st = await startStorage({ env: { SEELE_STORAGE_SWARM: 'off', ...(process.env['PROF'] ? { NODE_OPTIONS: process.env['PROF'] } : {}) } });
const pid = JSON.parse(readFileSync(st.home + '/run/storage.json', 'utf8')).pid as number;
const ticks = () => { const f = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' '); return [Number(f[11]) * 10, Number(f[12]) * 10]; };
const cid = (await st.client.add(inChunks(), { ...kuboAddProfile } as never)).cid.toString();
const folder = await mkdtemp('/tmp/sp/h-');
const bs = await openDurableBlockstore(folder);
const helia = createHeliaLight({ blockstore: bs }); await helia.start();
const fs = unixfs(helia);
await fs.addByteStream(inChunks(), { profile: 'unixfs-v1-2025' });
const store = createKuboBlobStore({ url: st.url, token: st.token });
const drain = async (src: AsyncIterable<Uint8Array>) => { let n = 0, c = 0; for await (const x of src) { n += x.length; c++; } if (n !== N) throw new Error('short ' + n); return c; };
const raw = () => new Promise<number>((res, rej) => { let c = 0, n = 0; const r = request(`${st.url}/api/v0/cat?arg=${cid}`, { method: 'POST', headers: { authorization: `Bearer ${st.token}` } }, (m) => { m.on('data', (b: Buffer) => { c++; n += b.length; }); m.on('end', () => res(c)); m.on('error', rej); }); r.end(); });
const ways: Record<string, () => Promise<number>> = {
  helia: () => drain(fs.cat(CID.parse(cid), { blockReadConcurrency: 8 } as object)),
  kuboCat: () => drain(st.client.cat(cid)),
  blobGet: () => drain(store.get(cid)),
  httpRaw: raw,
};
const only = process.env['ONLY']?.split(',') ?? Object.keys(ways);
const acc: Record<string, number[][]> = {};
const rounds = Number(process.env['ROUNDS'] ?? 7);
for (let r = 0; r <= rounds; r++) for (const name of only) {
  const c0 = process.cpuUsage(), s0 = ticks(), t0 = performance.now();
  const chunks = await ways[name]!();
  const t = performance.now() - t0, c1 = process.cpuUsage(c0), s1 = ticks();
  if (r > 0) (acc[name] ??= []).push([t, c1.user / 1000, c1.system / 1000, s1[0]! - s0[0]!, s1[1]! - s0[1]!, chunks]);
}
for (const [name, rows] of Object.entries(acc)) {
  const med = (i: number) => rows.map((x) => x[i]!).sort((a, b) => a - b)[rows.length >> 1]!;
  const mean = (i: number) => rows.reduce((a, x) => a + x[i]!, 0) / rows.length;
  console.log(name.padEnd(9), `wall ${med(0).toFixed(0)} min ${Math.min(...rows.map((x) => x[0]!)).toFixed(0)} ms | client user ${mean(1).toFixed(0)} sys ${mean(2).toFixed(0)} | server user ${mean(3).toFixed(0)} sys ${mean(4).toFixed(0)} | chunks ${med(5)}`);
}
await helia.stop(); await st.discard(); await rm(folder, { recursive: true, force: true });
