import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LOG_START } from '#libs/audit';
import { DELIVERY_DOMAIN, type MeteredRun, deliveryBytes } from '#contracts';
import { sealKeystore, verifySignature } from '#libs/crypto';
import { createSeededRandomness, decodeWith, utf8, utf8Decode } from '#libs/kernel';
import {
  DEFAULT_JOB_LIMITS,
  type JobLimits,
  type Manifest,
  PROVIDER_ENTRIES,
  type ProviderOffer,
  type SavePointRef,
  encodeManifest,
} from '#libs/market';
import { createLogger, keystorePath, loadSettings, writePrivateFile } from '#libs/platform';
import { type BlobStore, createMemoryBlobStore, readBlob } from '#libs/storage';
import { JOB_VM_VERSIONS, checkpointsRoot } from '#libs/vm';
import { createContentCache } from './content-cache.ts';
import { startProvider } from './provider.ts';
import { providerSettings } from './settings.ts';
import { type FakeMarket, startFakeMarket } from './testing/fake-market.ts';

/** Ids differ from case to case: most of them share one provider. */
let series = 0;
const id = (digit: string) => `${digit}${series.toString(16)}`.repeat(32);

const PASSPHRASE = 'test';
const randomness = createSeededRandomness(3);
/** Stretched little: each provider opens it at its start. */
const KEY = sealKeystore(randomness.bytes(32), PASSPHRASE, randomness, { n: 2 ** 12, r: 8, p: 1 });

let home: string;
let market: FakeMarket;
let blobs: BlobStore;
let provider: Awaited<ReturnType<typeof startProvider>> | undefined;

function start(env: Readonly<Record<string, string>> = {}) {
  const settings = loadSettings(providerSettings, {
    env: {
      ...{ SEELE_HOME: home, SEELE_PASSPHRASE: PASSPHRASE, SEELE_MARKET_URL: market.url },
      // Nobody listens there: the offer stays off the chain, the work goes on.
      ...{ SEELE_NODE_URL: 'http://127.0.0.1:1', SEELE_PROVIDER_SLOTS: '2' },
      SEELE_PROVIDER_DRAIN_MS: '100',
      ...env,
    },
  });
  return startProvider(settings, createLogger({ name: 'test', level: 'silent' }), { blobs });
}

async function storeJob(
  source: string,
  change: Partial<Manifest> & { data?: string; limits?: JobLimits } = {},
): Promise<string> {
  const { data, ...rest } = change;
  const { cid: code } = await blobs.put(utf8(source));
  const inputs =
    data === undefined
      ? []
      : [{ name: 'data', cid: (await blobs.put(utf8(data))).cid, sizeBytes: data.length }];
  const manifest: Manifest = {
    ...{ version: 1, name: 'test', kind: 'js', code, inputs, params: '{"by":2}' },
    ...{ limits: DEFAULT_JOB_LIMITS, minIsolation: 'S0', tier: 'A' },
    resources: { cores: 1, memoryBytes: 0 },
    ...rest,
  };
  return (await blobs.putBlock(encodeManifest(manifest), { codec: 'dag-cbor' })).cid;
}

const entriesOf = (order: string) =>
  market.heard
    .flatMap((message) => (message.kind === 'events' ? message.batch.entries : []))
    .filter(({ job }) => job === order);

async function setUp(): Promise<void> {
  home = await mkdtemp(join(tmpdir(), 'seele-provider-'));
  await writePrivateFile(keystorePath(home, 'provider-own'), KEY);
  market = await startFakeMarket();
  blobs = createMemoryBlobStore();
}
async function tearDown(): Promise<void> {
  await provider?.stop();
  provider = undefined;
  await market.close();
  await rm(home, { recursive: true, force: true });
}
beforeEach(() => void series++);

describe('a provider', () => {
  let running: NonNullable<typeof provider>;
  let offer: ProviderOffer;
  beforeAll(async () => {
    await setUp();
    running = provider = await start();
    ({ offer } = await market.next('hello'));
  });
  beforeEach(() => void ((market.heard as unknown[]).length = 0));
  afterAll(tearDown);

  it('runs a lease over stored data and delivers result, use and log, signed', async () => {
    expect(offer).toMatchObject({ slots: 2, isolation: running.pool.isolation.level });
    expect(offer.probe?.codeHash).toBe(running.pool.isolation.codeHash);
    expect(offer.probe?.failing?.layer).toBe(running.pool.isolation.failing?.name);
    expect(offer.probe?.verdicts.map(({ attempt }) => attempt)).toContain('read /etc/passwd');
    expect(offer.benchmarkScore).toBeGreaterThan(0);
    const manifest = await storeJob(
      `export default async ({ inputs, params, log, progress }) => {
         let sum = 0;
         for await (const line of inputs.data.lines()) { sum += Number(line) * params.by; log('at', sum); }
         progress(1, 'done');
         return { sum };
       }`,
      { data: '1\n2\n3\n' },
    );
    const order = id('2');
    market.lease({ lease: id('1'), order, manifest });
    await market.next('accept');
    const { delivery } = await market.next('deliver');
    expect(delivery.delivery).toMatchObject({ order, fence: 1, exit: 'ok' });
    const { result, logHead, logLength, charge } = delivery.delivery;
    const output = await readBlob(blobs, result as string, { maxBytes: 100 });
    expect(utf8Decode(output)).toBe('{"sum":12}');
    expect(await blobs.isPinned(result as string)).toBe(true);
    expect(charge).toBeGreaterThan(0n);
    expect(market.logs.get(order)).toEqual({ length: logLength, head: logHead });
    const entries = entriesOf(order);
    expect(entries.map(({ kind }) => kind).filter((kind) => kind !== 'progress')).toEqual([
      ...['started', 'log', 'finished'],
    ]);
    const log = entries.find(({ kind }) => kind === 'log');
    const { lines } = decodeWith(PROVIDER_ENTRIES.log, log?.data as Uint8Array);
    expect(lines.map(({ text }) => text)).toEqual(['at 2', 'at 6', 'at 12']);
    const bytes = deliveryBytes(delivery.delivery);
    expect(verifySignature(delivery.publicKey, DELIVERY_DOMAIN, bytes, delivery.signature)).toBe(
      true,
    );
  });

  it('delivers a verifiable job with fuel and checkpoints, in the delivery and in the log', async () => {
    expect(offer.kinds).toEqual(['js', 'wasm', 'verifiable']);
    const manifest = await storeJob(
      `export default async ({ inputs }) => {
         let sum = 0;
         for await (const line of inputs.data.lines()) sum += Number(line);
         for (let i = 0; i < 20_000; i++) sum = (sum * 31 + i) % 1_000_003;
         return { sum };
       }`,
      {
        ...{ data: '1\n2\n3\n', kind: 'verifiable' },
        metering: { fuel: 5_000_000_000n, checkpointFuel: 10_000_000n },
      },
    );
    const order = id('2');
    market.lease({ lease: id('1'), order, manifest });
    const { delivery } = (await market.next('deliver')).delivery;
    expect(delivery).toMatchObject({ exit: 'ok', metered: { engine: JOB_VM_VERSIONS.js } });
    const run = delivery.metered as MeteredRun;
    const stated = entriesOf(order).flatMap(({ kind, data }) =>
      kind === 'checkpoints' ? decodeWith(PROVIDER_ENTRIES.checkpoints, data).items : [],
    );
    expect(run.checkpoints).toBeGreaterThan(1);
    expect(stated).toHaveLength(run.checkpoints);
    expect(checkpointsRoot(stated)).toBe(run.checkpointsRoot);
    const last = entriesOf(order).at(-1);
    expect(decodeWith(PROVIDER_ENTRIES.finished, last?.data as Uint8Array).metered).toEqual(run);

    const endless = await storeJob('export default () => { for (;;); }', {
      ...{ kind: 'verifiable', metering: { fuel: 50_000_000n } },
    });
    market.lease({ lease: id('3'), order: id('4'), manifest: endless });
    const { delivery: ended } = (await market.next('deliver', id('3'))).delivery;
    expect(ended).toMatchObject({ exit: 'fuel-limit' });
    // Caused by the guest: charged like every limit of its own.
    expect(ended.charge).toBeGreaterThan(0n);
  });

  it('delivers a failing job with its exit and without a result', async () => {
    const loops = await storeJob('export default () => { for (;;); }', {
      limits: { ...DEFAULT_JOB_LIMITS, cpuMs: 100 },
    });
    const missing = await storeJob('export default () => 1', { inputs: [] });
    const wrongSize = await storeJob('export default ({ inputs }) => inputs.x.text()', {
      inputs: [{ name: 'x', cid: (await blobs.put(utf8('abc'))).cid, sizeBytes: 5 }],
    });
    market.lease({ lease: id('1'), order: id('a'), manifest: loops });
    expect((await market.next('deliver', id('1'))).delivery.delivery).toMatchObject({
      exit: 'cpu-limit',
    });
    market.lease({ lease: id('2'), order: id('b'), manifest: wrongSize });
    const refused = (await market.next('deliver', id('2'))).delivery.delivery;
    expect(refused).toMatchObject({ exit: 'refused', charge: 0n });
    expect(refused.result).toBeUndefined();
    market.lease({ lease: id('3'), order: id('c'), manifest: missing });
    expect((await market.next('deliver', id('3'))).delivery.delivery.exit).toBe('ok');
  });

  it('hands back what it cannot fetch or is too weak for', async () => {
    const gone = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy';
    market.lease({ lease: id('1'), order: id('a'), manifest: gone });
    expect(await market.next('decline', id('1'))).toMatchObject({ code: 'PROVIDER_STORAGE' });
    const strict = await storeJob('export default () => 1', { minIsolation: 'S4' });
    market.lease({ lease: id('2'), order: id('b'), manifest: strict });
    expect(await market.next('decline', id('2'))).toMatchObject({ code: 'PROVIDER_ISOLATION' });
  });

  it('goes on from what the guest saved under an earlier lease, and begins anew without it', async () => {
    const manifest = await storeJob(`export default async ({ save, saved }) => {
      const from = saved ? Number(await saved.text()) : 0;
      if (from > 0) return 'from ' + from;
      for (let i = 1; i <= 40; i++) save(String(i));
      return new Promise(() => {});
    }`);
    const order = id('a');
    market.lease({ lease: id('1'), order, manifest });
    const saved = () =>
      entriesOf(order).flatMap(({ kind, data }) =>
        kind === 'savePoint' ? decodeWith(PROVIDER_ENTRIES.savePoint, data) : [],
      );
    // The first, then the newest of those that came while it was stored; between them at most on a slow machine.
    const isLast = async (ref: SavePointRef | undefined) =>
      ref !== undefined && utf8Decode(await readBlob(blobs, ref.cid, { maxBytes: 9 })) === '40';
    while (!(await isLast(saved().at(-1)))) await new Promise((done) => setTimeout(done, 5));
    market.send({ kind: 'cancel', lease: id('1'), reason: 'its eco slot was taken' });
    const newest = saved().at(-1) as SavePointRef;
    market.lease({ lease: id('2'), order, manifest, fence: 2, savePoint: newest });
    const { delivery } = (await market.next('deliver', id('2'))).delivery;
    const output = await readBlob(blobs, delivery.result as string, { maxBytes: 100 });
    expect(utf8Decode(output)).toBe('from 40');
    const started = entriesOf(order).filter(({ kind }) => kind === 'started');
    expect(started.map(({ data }) => decodeWith(PROVIDER_ENTRIES.started, data).resumed)).toEqual([
      undefined,
      newest.cid,
    ]);

    const wrong = { ...newest, sizeBytes: 1 };
    market.lease({ lease: id('3'), order: id('b'), manifest, savePoint: wrong });
    while (entriesOf(id('b')).length < 3) await new Promise((done) => setTimeout(done, 5));
    expect(entriesOf(id('b')).map(({ kind }) => kind)).toEqual(['log', 'started', 'savePoint']);
    market.send({ kind: 'cancel', lease: id('3'), reason: 'test' });
  });

  it('kills a cancelled job and is free again', async () => {
    const manifest = await storeJob('export default () => { for (;;); }');
    market.lease({ lease: id('1'), order: id('a'), manifest });
    await market.next('events');
    market.send({ kind: 'cancel', lease: id('1'), reason: 'test' });
    while (running.pool.freeSlots < 2) await new Promise((done) => setTimeout(done, 5));
    expect(running.loop.agent.leases.size).toBe(0);
  });
});

describe('a provider of its own', () => {
  beforeEach(setUp);
  afterEach(tearDown);

  it('offers the kinds it was told to, and hands back others', async () => {
    provider = await start({ SEELE_PROVIDER_KINDS: 'verifiable, wasm' });
    const { offer } = await market.next('hello');
    expect(offer.kinds).toEqual(['wasm', 'verifiable']);
    expect(offer.probe?.flags).toBe('M');
    market.lease({ lease: id('1'), order: id('a'), manifest: await storeJob('export default 1') });
    expect(await market.next('decline', id('1'))).toMatchObject({
      ...{ code: 'PROVIDER_KIND', reason: expect.stringContaining('not js') as string },
    });
  });

  it('without compilers in its slots offers no metered kind', async () => {
    provider = await start({ SEELE_PROVIDER_JITLESS: 'true' });
    const { offer } = await market.next('hello');
    expect([offer.kinds, offer.probe?.flags]).toEqual([['js'], 'J']);
  });

  it('loses nothing when the line is cut, and delivers after a restart what nobody acknowledged', async () => {
    provider = await start();
    await market.next('hello');
    market.acknowledges = false;
    const manifest = await storeJob(
      'export default () => new Promise((done) => setTimeout(done, 300, "late"))',
    );
    market.lease({ lease: id('1'), order: id('a'), manifest });
    await market.next('accept');
    market.dropConnections();
    const first = await market.next('deliver', id('1'));
    await provider.stop();
    (market.heard as unknown[]).length = 0;
    market.acknowledges = true;
    provider = await start();
    expect((await market.next('deliver', id('1'))).delivery).toEqual(first.delivery);
    const { loop } = provider;
    while (loop.agent.leases.size > 0) await new Promise((done) => setTimeout(done, 5));
  });

  it('hands running work back when it is stopped', async () => {
    provider = await start();
    await market.next('hello');
    const manifest = await storeJob('export default () => new Promise(() => {})');
    market.lease({ lease: id('1'), order: id('a'), manifest });
    await market.next('events');
    await provider.stop();
    provider = undefined;
    expect(await market.next('decline', id('1'))).toMatchObject({ code: 'PROVIDER_STOPPING' });
    expect(entriesOf(id('a'))[0]).toMatchObject({ kind: 'started', prev: LOG_START });
  });
});

describe('the content cache', () => {
  it('fetches once, keeps the recently used and forgets the rest', async () => {
    const cache = createContentCache(10);
    let fetched = 0;
    const get = (cid: string) =>
      cache.get(cid, () => {
        fetched++;
        return Promise.resolve(new Uint8Array(4));
      });
    await Promise.all([get('a'), get('a')]);
    expect(fetched).toBe(1);
    await get('b');
    await get('a');
    await get('c');
    await get('a');
    expect(fetched).toBe(3);
    await get('b');
    expect(fetched).toBe(4);
  });
});
