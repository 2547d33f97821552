import fc from 'fast-check';
import { createSeededRandomness, isSeeleError, utf8, type Bytes } from '#libs/kernel';
import { sha256Hex } from '#libs/crypto';
import { type Gossip, type GossipOptions, createGossip } from './gossip.ts';
import { createGossipCodec } from './gossip-messages.ts';
import { type MemoryNetwork, createMemoryNetwork } from './memory-network.ts';
import { NODE_PROTOCOLS } from './protocols.ts';
import { createRequests } from './requests.ts';
import { TEST_NETWORK, testSigner } from './transport.conformance.ts';
import type { Transport } from './transport.ts';

const protocol = NODE_PROTOCOLS.transactions;
const GOOD = 'good';

interface Member {
  readonly transport: Transport;
  readonly gossip: Gossip;
  /** How often each item was validated. */
  readonly validated: Map<string, number>;
}

describe('gossip', () => {
  let network: MemoryNetwork;
  let members: Member[];

  async function join(n: number, options: Partial<GossipOptions> = {}): Promise<Member> {
    const transport = network.create(`node-${n}`, {
      signer: testSigner(n),
      network: TEST_NETWORK,
      protocols: Object.values(NODE_PROTOCOLS),
      admit: () => true,
    });
    await transport.listen();
    const validated = new Map<string, number>();
    const gossip = createGossip({
      transport,
      protocol,
      timers: network.timers,
      randomness: createSeededRandomness(n),
      validate(item) {
        const id = sha256Hex(item);
        validated.set(id, (validated.get(id) ?? 0) + 1);
        const text = Buffer.from(item).toString();
        return text.startsWith(GOOD) ? 'accept' : text.startsWith('lie') ? 'reject' : 'ignore';
      },
      maxItemBytes: 100_000,
      fanout: 3,
      ...options,
    });
    const member = { transport, gossip, validated };
    members.push(member);
    return member;
  }
  const dial = (a: Member, n: number) => a.transport.dial(testSigner(n).publicKey, `node-${n}`);
  /** Everybody knows its next neighbours in a ring. */
  async function ring(
    count: number,
    neighbours: number,
    options: Partial<GossipOptions> = {},
  ): Promise<void> {
    for (let n = 1; n <= count; n++) await join(n, options);
    for (let n = 0; n < count; n++)
      for (let d = 1; d <= neighbours; d++) dial(members[n] as Member, ((n + d) % count) + 1);
    await network.until(() =>
      members.every(({ transport }) => transport.peers().length === 2 * neighbours),
    );
  }
  const haveAll = (ids: readonly string[]) => () =>
    members.every(({ gossip }) => ids.every((id) => gossip.has(id)));

  beforeEach(() => {
    network = createMemoryNetwork({ seed: 3, delayMs: [5, 20] });
    members = [];
  });
  afterEach(async () => {
    for (const { gossip, transport } of members) {
      gossip.close();
      await transport.close();
    }
  });

  it('reaches everybody over several hops, is validated once by each, and pushed to few', async () => {
    await ring(12, 3);
    const ids = Array.from({ length: 100 }, (_, i) =>
      (members[i % 12] as Member).gossip.publish(utf8(`${GOOD} ${i}`)),
    );
    expect(await network.until(haveAll(ids), 5_000)).toBe(true);
    await network.advance(2_000);
    for (const { validated } of members) expect(Math.max(...validated.values())).toBe(1);
    const duplicates = members.reduce((sum, { gossip }) => sum + gossip.stats().duplicates, 0);
    // Each of 12 pushes an item to at most 3, of which 11 are needed.
    expect(duplicates).toBeLessThanOrEqual(100 * (12 * 3 - 11));
  });

  it('passes nothing on that was not accepted, and cuts off who sends a lie', async () => {
    await ring(4, 1);
    const [a, b, c] = members as [Member, Member, Member];
    a.gossip.publish(utf8('lie'));
    a.gossip.publish(utf8('uninteresting'));
    await network.advance(1_000);
    expect(b.transport.isLinked(a.transport.publicKey)).toBe(false);
    expect(b.gossip.stats()).toMatchObject({ accepted: 0, rejected: 1, ignored: 1 });
    expect(c.validated.size).toBe(0);
    expect(c.transport.isLinked(b.transport.publicKey)).toBe(true);
  });

  it('lets a peer that comes late fetch what it missed, from another when the first does not deliver', async () => {
    await ring(2, 1, { fanout: 0 });
    const [a] = members as [Member, Member];
    const ids = Array.from({ length: 20 }, (_, i) => a.gossip.publish(utf8(`${GOOD} ${i}`)));
    expect(await network.until(haveAll(ids), 5_000)).toBe(true);
    const late = await join(3);
    // Announces everything and gives nothing.
    const mute = network.create('node-4', {
      signer: testSigner(4),
      network: TEST_NETWORK,
      protocols: Object.values(NODE_PROTOCOLS),
      admit: () => true,
    });
    await mute.listen();
    mute.onPeer(() =>
      mute.broadcast(
        protocol.id,
        createGossipCodec(100, protocol.maxMessageBytes).encode({ kind: 'have', ids }),
      ),
    );
    dial(late, 4);
    await network.until(() => late.transport.peers().length === 1);
    await network.advance(100);
    dial(late, 1);
    expect(await network.until(haveAll(ids), 5_000)).toBe(true);
    await mute.close();
  });

  it('looks at no more items of one peer than its rate, and keeps no more bytes than told', async () => {
    await ring(2, 1, { itemsPerSecond: 10, keptBytes: 20_000 });
    const [a, b] = members as [Member, Member];
    for (let i = 0; i < 100; i++) a.gossip.publish(utf8(`${GOOD} ${i} ${'x'.repeat(1000)}`));
    await network.advance(100);
    expect(b.gossip.stats().accepted).toBe(20);
    expect(b.gossip.stats().overRate).toBe(80);
    expect(a.gossip.stats().keptBytes).toBeLessThanOrEqual(20_000);
  });

  it('decodes random and changed messages to a message or a refusal', () => {
    const codec = createGossipCodec(100, 10_000);
    const valid = codec.encode({ kind: 'push', items: [utf8('a'), utf8('b')] });
    const isHarmless = (bytes: Bytes): boolean => {
      try {
        codec.decode(bytes);
      } catch (error) {
        return isSeeleError(error);
      }
      return true;
    };
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200 }),
        fc.nat(valid.length - 1),
        fc.nat(255),
        (bytes, at, value) => {
          const changed = valid.slice();
          changed[at] = value;
          expect(isHarmless(bytes) && isHarmless(changed)).toBe(true);
        },
      ),
      { numRuns: 100 },
    );
  });
});

describe('requests', () => {
  const patience = { timeoutMs: 200 };
  async function pair(answer: (question: Bytes) => Promise<Bytes | undefined> | Bytes | undefined) {
    const network = createMemoryNetwork({ seed: 5, delayMs: [1, 2] });
    const create = async (n: number) => {
      const transport = network.create(`node-${n}`, {
        signer: testSigner(n),
        network: TEST_NETWORK,
        protocols: Object.values(NODE_PROTOCOLS),
        admit: () => true,
      });
      await transport.listen();
      const requests = createRequests({
        transport,
        protocol: NODE_PROTOCOLS.sync.id,
        timers: network.timers,
        answer: (_peer, question) => answer(question),
        servedAtOnce: 2,
        ...patience,
      });
      return { transport, requests };
    };
    const [a, b] = [await create(1), await create(2)];
    a.transport.dial(b.transport.publicKey, 'node-2');
    await network.until(() => a.transport.isLinked(b.transport.publicKey));
    const ask = (text: string) => {
      const outcome: { text?: string } = {};
      a.requests.ask(b.transport.publicKey, utf8(text)).then(
        (bytes) => (outcome.text = Buffer.from(bytes).toString()),
        (error: Error) => (outcome.text = error.message.replace(/^\w+: /, '')),
      );
      return outcome;
    };
    return { network, a, b, ask };
  }

  it('are answered each by its own answer, whatever the order', async () => {
    const releases = new Map<string, (value: Bytes) => void>();
    const { network, ask } = await pair(
      (question) =>
        new Promise((resolve) => releases.set(Buffer.from(question).toString(), resolve)),
    );
    const [one, two] = [ask('one'), ask('two')];
    await network.until(() => releases.size === 2);
    releases.get('two')?.(utf8('2'));
    releases.get('one')?.(utf8('1'));
    await network.until(() => one.text !== undefined && two.text !== undefined);
    expect([one.text, two.text]).toEqual(['1', '2']);
  });

  it('end in a refusal, in silence, or with the link, and never hang', async () => {
    const { network, a, b, ask } = await pair((question) =>
      question[0] === 120 ? undefined : new Promise(() => undefined),
    );
    const refused = ask('x');
    await network.until(() => refused.text !== undefined);
    const unanswered = [ask('y'), ask('y')];
    const tooMany = ask('y');
    await network.advance(50);
    expect(refused.text).toBe('refused');
    expect(tooMany.text).toBe('refused');
    await network.advance(200);
    expect(unanswered.map(({ text }) => text)).toEqual(['nothing in 200 ms', 'nothing in 200 ms']);
    const orphan = ask('y');
    a.transport.hangUp(b.transport.publicKey);
    await network.advance(10);
    expect(orphan.text).toMatch(/link ended/);
    const late = ask('y');
    await network.advance(1);
    expect(late.text).toBe('no-link');
  });
});
