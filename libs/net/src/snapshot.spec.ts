import fc from 'fast-check';
import { sha256 } from '#libs/crypto';
import {
  type Bytes,
  type KeyValueStore,
  bytesToHex,
  concatBytes,
  isSeeleError,
  utf8,
} from '#libs/kernel';
import { createStateTree } from '#libs/merkle';
import { createMemoryStore } from '#libs/store';
import { type MemoryNetwork, createMemoryNetwork } from './memory-network.ts';
import { NODE_PROTOCOLS } from './protocols.ts';
import { createRequests } from './requests.ts';
import { type SnapshotClientOptions, copySnapshot } from './snapshot-client.ts';
import {
  type SnapshotAnswer,
  decodeAnswer,
  decodeQuestion,
  encodeAnswer,
  encodeQuestion,
} from './snapshot-messages.ts';
import { type StateLayout, createSnapshotServer } from './snapshot-server.ts';
import { TEST_NETWORK, testSigner } from './transport.conformance.ts';
import type { Transport } from './transport.ts';

const layout: StateLayout = {
  treePrefix: Uint8Array.of(7),
  entries: { start: Uint8Array.of(6), end: Uint8Array.of(7) },
};
const PROGRESS_KEY = Uint8Array.of(1, 99);
const CERTIFIED = utf8('certified');
const COUNT = 1_200;
const leafOf = (key: Bytes, value: Bytes) =>
  key[0] === 6 ? { key: sha256(key), valueHash: sha256(value) } : undefined;

async function stateOf(count: number) {
  const store = createMemoryStore();
  const tree = createStateTree({ reader: store, keyPrefix: layout.treePrefix });
  const writes = [];
  for (let i = 0; i < count; i++) {
    const key = concatBytes(Uint8Array.of(6), utf8(`entry ${i}`));
    const value = utf8(`value ${i} ${'x'.repeat(i % 90)}`);
    writes.push({ key, value });
    tree.update(sha256(key), sha256(value));
  }
  const { root, writes: nodes } = tree.commit();
  await store.commit([...writes, ...nodes]);
  return { store, root };
}
let full: Awaited<ReturnType<typeof stateOf>>;
let other: Awaited<ReturnType<typeof stateOf>>;

/** What a server does to its answers. */
type Twist = (answer: SnapshotAnswer) => SnapshotAnswer | undefined;
const honest: Twist = (answer) => answer;

function contentsOf(store: KeyValueStore): string[] {
  return [...store.range({ start: Uint8Array.of(6), end: Uint8Array.of(8) })].map(
    ([key, value]) => `${bytesToHex(key)}=${bytesToHex(value)}`,
  );
}

describe('copying a certified state', () => {
  let network: MemoryNetwork;
  let transports: Transport[];

  beforeAll(async () => {
    full = await stateOf(COUNT);
    other = await stateOf(50);
  });
  beforeEach(() => {
    network = createMemoryNetwork({ seed: 11, delayMs: [1, 3] });
    transports = [];
  });
  afterEach(async () => {
    for (const transport of transports) await transport.close();
  });

  async function join(n: number): Promise<Transport> {
    const transport = network.create(`node-${n}`, {
      signer: testSigner(n),
      network: TEST_NETWORK,
      protocols: Object.values(NODE_PROTOCOLS),
      admit: () => true,
    });
    await transport.listen();
    transports.push(transport);
    return transport;
  }

  async function serve(n: number, twist = honest, state = full, height = 100, anchor = CERTIFIED) {
    const transport = await join(n);
    const server = createSnapshotServer({
      layout,
      timers: network.timers,
      leavesAtOnce: 40,
      entriesAtOnce: 200,
    });
    server.offer({ height, root: state.root, anchor }, state.store.snapshot());
    createRequests({
      transport,
      protocol: NODE_PROTOCOLS.snapshot.id,
      timers: network.timers,
      answer: (_peer, question) => {
        const answer = server.answer(question);
        const twisted = answer && twist(decodeAnswer(answer));
        return twisted && encodeAnswer(twisted);
      },
    });
    return transport;
  }

  async function client(
    servers: readonly Transport[],
    store: KeyValueStore,
    changes: Partial<SnapshotClientOptions> = {},
  ) {
    const transport = await join(90 + transports.length);
    const requests = createRequests({
      transport,
      protocol: NODE_PROTOCOLS.snapshot.id,
      timers: network.timers,
      answer: () => undefined,
      timeoutMs: 1_000,
    });
    for (const server of servers)
      transport.dial(server.publicKey, `node-${transports.indexOf(server) + 1}`);
    await network.until(() => transport.peers().length === servers.length);
    const accused: string[] = [];
    const run = async () => {
      const outcome: { height?: number; error?: unknown } = {};
      copySnapshot({
        store,
        layout,
        progressKey: PROGRESS_KEY,
        leafOf,
        isCertified: ({ anchor }) => bytesToHex(anchor) === bytesToHex(CERTIFIED),
        timers: network.timers,
        peers: () => transport.peers(),
        ask: (peer, question) => requests.ask(peer, question),
        accuse: (peer) => {
          accused.push(peer);
          transport.hangUp(peer, 'misbehaved');
        },
        giveUpMs: 5_000,
        ...changes,
      }).then(
        ({ height }) => (outcome.height = height),
        (error: unknown) => (outcome.error = error),
      );
      await network.until(() => outcome.height !== undefined || outcome.error !== undefined);
      return outcome;
    };
    return { run, accused, transport };
  }

  it('gives the same tree and entries as the original', async () => {
    const servers = [await serve(1), await serve(2)];
    const store = createMemoryStore();
    const { run, accused } = await client(servers, store);
    expect(await run()).toEqual({ height: 100 });
    expect(contentsOf(store)).toEqual(contentsOf(full.store));
    expect(accused).toEqual([]);
  });

  it('goes on where it was after every interruption', async () => {
    const servers = [await serve(1)];
    const disk = createMemoryStore();
    let commits = 0;
    const failing: KeyValueStore = {
      get: (key) => disk.get(key),
      range: (range) => disk.range(range),
      snapshot: () => disk.snapshot(),
      close: () => disk.close(),
      async commit(writes) {
        // The first commits of every run work, then the process "dies".
        if (commits++ >= 12) throw new Error('killed');
        return disk.commit(writes);
      },
    };
    const totals: number[] = [];
    let runs = 0;
    for (; runs < 20; runs++) {
      commits = 0;
      const { run } = await client(servers, failing, {
        onProgress: ({ leaves, entries }) => totals.push(leaves + entries),
      });
      if ((await run()).height === 100) break;
    }
    expect(runs).toBeGreaterThan(1);
    expect(runs).toBeLessThan(8);
    expect(totals).toEqual([...totals].sort((a, b) => a - b));
    expect(contentsOf(disk)).toEqual(contentsOf(full.store));
  });

  const lies: Record<string, Twist> = {
    'changes a leaf': (answer) => {
      if (answer.kind === 'leaves') answer.range[100] = (answer.range[100] as number) ^ 1;
      return answer;
    },
    'gives leaves of another state': (answer) =>
      answer.kind === 'leaves' ? { ...answer, range: new Uint8Array() } : answer,
    'changes a value': (answer) =>
      answer.kind === 'entries'
        ? {
            ...answer,
            entries: answer.entries.map((e, i) => (i === 5 ? { ...e, value: utf8('more') } : e)),
          }
        : answer,
    'invents an entry': (answer) =>
      answer.kind === 'entries'
        ? {
            ...answer,
            entries: [
              ...answer.entries.slice(0, 9),
              { key: Uint8Array.of(6, 255), value: utf8('mine') },
            ],
            isLast: true,
          }
        : answer,
    'leaves entries out': (answer) =>
      answer.kind === 'entries'
        ? { ...answer, entries: answer.entries.filter((_, i) => i % 100 !== 50) }
        : answer,
    'says that this was all': (answer) =>
      answer.kind === 'entries'
        ? { ...answer, entries: answer.entries.slice(0, 10), isLast: true }
        : answer,
    'answers another question': (answer) =>
      answer.kind === 'leaves' ? { kind: 'entries', entries: [], isLast: true } : answer,
  };
  it.each(Object.keys(lies))(
    'drops a peer that %s, and takes the piece from another',
    async (lie) => {
      const liar = await serve(1, lies[lie]);
      const servers = [liar, await serve(2)];
      const store = createMemoryStore();
      const { run, accused } = await client(servers, store);
      expect(await run()).toEqual({ height: 100 });
      expect(contentsOf(store)).toEqual(contentsOf(full.store));
      expect(accused).toEqual([liar.publicKey]);
    },
  );

  it('takes no state that is not certified, however high, and the highest that is', async () => {
    const liar = await serve(1, honest, other, 900, utf8('trust me'));
    const servers = [liar, await serve(2, honest, other, 50), await serve(3)];
    const store = createMemoryStore();
    const { run, accused } = await client(servers, store);
    expect(await run()).toEqual({ height: 100 });
    expect(accused).toEqual([liar.publicKey]);
  });

  it('goes round peers that do not answer, and gives up with a reason when there is nobody', async () => {
    const silent: Twist = (answer) => (answer.kind === 'offers' ? answer : undefined);
    const servers = [await serve(1, silent), await serve(2)];
    const { run, accused } = await client(servers, createMemoryStore());
    expect(await run()).toEqual({ height: 100 });
    expect(accused).toEqual([]);
    const alone = await client([servers[0] as Transport], createMemoryStore());
    expect((await alone.run()).error).toMatchObject({ code: 'NET_SYNC_FAILED' });
  });

  it('begins anew, from nothing, when what it began is offered no more', async () => {
    const store = createMemoryStore();
    const first = await client(
      [await serve(1, (answer) => (answer.kind === 'entries' ? undefined : answer))],
      store,
    );
    expect((await first.run()).error).toMatchObject({ code: 'NET_SYNC_FAILED' });
    const second = await client([await serve(3, honest, other, 200)], store);
    expect(await second.run()).toEqual({ height: 200 });
    expect(contentsOf(store)).toEqual(contentsOf(other.store));
  });

  it('has questions and answers of which random and changed bytes are refused', () => {
    const valid = [
      encodeQuestion({ kind: 'leaves', height: 1, from: '11'.repeat(32) }),
      encodeAnswer({
        kind: 'entries',
        entries: [{ key: utf8('k'), value: utf8('v') }],
        isLast: true,
      }),
    ];
    const isHarmless = (decode: (bytes: Bytes) => unknown, bytes: Bytes): boolean => {
      try {
        decode(bytes);
      } catch (error) {
        return isSeeleError(error);
      }
      return true;
    };
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(), fc.nat(255), (bytes, at, value) => {
        for (const original of valid) {
          const changed = original.slice();
          changed[at % changed.length] = value;
          for (const decode of [decodeQuestion, decodeAnswer])
            expect(isHarmless(decode, bytes) && isHarmless(decode, changed)).toBe(true);
        }
      }),
      { numRuns: 100 },
    );
  });
});
