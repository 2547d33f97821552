/** Peers that keep to no rules, on the virtual network and on real sockets. */
import { type Socket, connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { type Bytes, concatBytes } from '#libs/kernel';
import { frameMessage } from './frames.ts';
import { checkHello, createHello } from './hello.ts';
import { type MemoryNetwork, createMemoryNetwork } from './memory-network.ts';
import type { LinkNote } from './options.ts';
import { parseAddress } from './tcp-carrier.ts';
import { createTcpTransport } from './tcp-transport.ts';
import { TEST_NETWORK, TEST_PROTOCOLS, testSigner } from './transport.conformance.ts';
import type { Transport } from './transport.ts';
import type { Wire } from './wire.ts';

const honest = testSigner(1);
const liar = testSigner(2);
const common = { network: TEST_NETWORK, protocols: TEST_PROTOCOLS, admit: () => true };
const limits = { handshakeMs: 500, handshakesPerAddress: 3, stallMs: 1_000, silenceMs: 3_000 };
const control = (kind: number, ...content: readonly Bytes[]) =>
  frameMessage(0, concatBytes(Uint8Array.of(kind), ...content));

describe('hostile peers', () => {
  let network: MemoryNetwork;
  let transport: Transport;
  let notes: LinkNote[];

  beforeEach(async () => {
    network = createMemoryNetwork({ seed: 1, delayMs: [1, 2] });
    notes = [];
    const onNote = (note: LinkNote) => notes.push(note);
    transport = network.create('honest', { ...common, signer: honest, limits, onNote });
    await transport.listen();
  });
  afterEach(() => transport.close());

  interface Raw {
    readonly wire: Wire;
    readonly received: Bytes[];
    closed: boolean;
  }
  async function connectRaw(): Promise<Raw> {
    let raw: Raw | undefined;
    void network
      .carrier('hostile')
      .connect('honest', 1_000)
      .then((wire) => {
        const opened: Raw = { wire, received: [], closed: false };
        wire.open(
          (bytes) => opened.received.push(bytes),
          () => (opened.closed = true),
        );
        raw = opened;
      });
    await network.until(() => raw !== undefined);
    return raw as unknown as Raw;
  }
  const write = (raw: Raw, bytes: Bytes) => raw.wire.write(bytes, () => undefined);
  const helloOf = (raw: Raw, signer = liar, role: 'dialler' | 'listener' = 'dialler') =>
    control(0, createHello(signer, TEST_NETWORK, role, raw.wire.binding));
  const lastEnd = () => notes.at(-1)?.end;
  async function linkRaw(): Promise<Raw> {
    const raw = await connectRaw();
    write(raw, helloOf(raw));
    await network.until(() => transport.isLinked(liar.publicKey));
    return raw;
  }

  it('that connect and say nothing are gone after the time for a handshake', async () => {
    const raw = await connectRaw();
    await network.advance(400);
    expect(raw.closed).toBe(false);
    await network.advance(300);
    expect(raw.closed).toBe(true);
    expect(lastEnd()).toBe('handshake-timeout');
  });

  it('cannot fill the handshakes of others from one address', async () => {
    const raws = [await connectRaw(), await connectRaw(), await connectRaw(), await connectRaw()];
    await network.advance(50);
    expect(raws.map(({ closed }) => closed)).toEqual([false, false, false, true]);
    expect(transport.stats().ends['too-many-links']).toBe(1);
    write(raws[0] as Raw, helloOf(raws[0] as Raw));
    expect(await network.until(() => transport.isLinked(liar.publicKey), 300)).toBe(true);
  });

  it('cannot pass on what another peer said on another stream, nor send back what they heard', async () => {
    const [first, second, third] = [await connectRaw(), await connectRaw(), await connectRaw()];
    write(second, helloOf(first, testSigner(3)));
    await network.until(() => second.closed, 300);
    expect(lastEnd()).toBe('not-authentic');
    write(third, helloOf(third, testSigner(3), 'listener'));
    await network.until(() => third.closed, 300);
    expect(lastEnd()).toBe('not-authentic');
    expect(transport.peers()).toEqual([]);
  });

  it("that come with this node's own key are refused", async () => {
    const raw = await connectRaw();
    write(raw, helloOf(raw, honest));
    await network.until(() => raw.closed, 300);
    expect(lastEnd()).toBe('not-admitted');
  });

  it('that send anything before they greet, or nonsense, are cut off', async () => {
    for (const bytes of [
      frameMessage(1, Uint8Array.of(1)),
      control(1, new Uint8Array(8)),
      control(0, Uint8Array.of(0xff)),
      Uint8Array.of(0, 0x7f, 0xff, 0xff, 0xff),
    ]) {
      const raw = await connectRaw();
      write(raw, bytes);
      expect(await network.until(() => raw.closed, 300)).toBe(true);
      expect(['unknown-protocol', 'malformed-frame']).toContain(lastEnd());
    }
  });

  it('that break the rules once linked are cut off with a code, and barred for a while', async () => {
    const offences: [Bytes, string][] = [
      [frameMessage(77, Uint8Array.of(1)), 'unknown-protocol'],
      [frameMessage(1, new Uint8Array(5_000)), 'frame-too-large'],
      [Uint8Array.of(1, 0xff, 0xff, 0xff, 0xff), 'malformed-frame'],
      [control(9), 'malformed-frame'],
    ];
    for (const [bytes, end] of offences) {
      const raw = await linkRaw();
      write(raw, bytes);
      expect(await network.until(() => raw.closed, 300)).toBe(true);
      expect(lastEnd()).toBe(end);
      const again = await connectRaw();
      write(again, helloOf(again));
      expect(await network.until(() => again.closed, 300)).toBe(true);
      expect(lastEnd()).toBe('misbehaved');
      await network.advance(61_000);
    }
  });

  it('that take nothing are cut off, and cost no more than the queue', async () => {
    const raw = await linkRaw();
    raw.wire.pause();
    for (let i = 0; i < 100; i++) transport.send(liar.publicKey, 2, new Uint8Array(100_000));
    expect(transport.stats().peers[0]?.queuedBytes).toBeLessThanOrEqual(4 * 1024 * 1024);
    expect(await network.until(() => !transport.isLinked(liar.publicKey), 4_000)).toBe(true);
    expect(lastEnd()).toBe('stalled');
  });

  it('that fall silent without a goodbye are noticed', async () => {
    await linkRaw();
    expect(await network.until(() => !transport.isLinked(liar.publicKey), 10_000)).toBe(true);
    expect(lastEnd()).toBe('silent');
  });

  it('with random or changed greetings never get a link and never break anything', () => {
    const binding = new Uint8Array(32).fill(5);
    const hello = createHello(liar, TEST_NETWORK, 'dialler', binding);
    expect(checkHello(hello, TEST_NETWORK, 'dialler', binding)).toEqual({ peer: liar.publicKey });
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 300 }),
          fc.tuple(fc.nat(hello.length - 1), fc.integer({ min: 1, max: 255 })).map(([at, flip]) => {
            const changed = hello.slice();
            changed[at] = (changed[at] as number) ^ flip;
            return changed;
          }),
          fc.nat(hello.length - 1).map((n) => hello.slice(0, n)),
        ),
        (bytes) => {
          expect(checkHello(bytes, TEST_NETWORK, 'dialler', binding)).toHaveProperty('end');
        },
      ),
      { numRuns: 100 },
    );
  });
});

describe('hostile peers on sockets', () => {
  const clock = { nowUs: () => Date.now() * 1000, monotonicMs: () => performance.now() };
  const randomness = { bytes: (length: number) => crypto.getRandomValues(new Uint8Array(length)) };

  it('that speak no TLS or stop in the middle of it are closed, and others get through', async () => {
    const create = (n: number) =>
      createTcpTransport({
        ...common,
        signer: testSigner(n),
        clock,
        randomness,
        host: '127.0.0.1',
        port: 0,
        limits: { ...limits, handshakeMs: 1_000 },
      });
    const [a, b] = [create(1), create(2)];
    const address = await a.listen();
    const { host, port } = parseAddress(address);
    const sockets: Socket[] = [];
    const open = (bytes?: string | Uint8Array) => {
      const socket = connect(port, host);
      sockets.push(socket);
      socket.on('error', () => undefined);
      if (bytes) socket.write(bytes);
      socket.resume();
      return new Promise<void>((resolve) => void socket.once('close', () => resolve()));
    };
    const closed = [
      open('GET / HTTP/1.1\r\n\r\n'),
      open(Uint8Array.of(22, 3, 1, 2, 0, 1, 0, 1, 252)),
      open(),
    ];
    await Promise.all(closed);
    b.dial(a.publicKey, address);
    const endMs = Date.now() + 25_000;
    while (!a.isLinked(b.publicKey) && Date.now() < endMs) await sleep(5);
    expect(a.isLinked(b.publicKey)).toBe(true);
    await Promise.all([a.close(), b.close()]);
    for (const socket of sockets) socket.destroy();
  });

  it.each(['', 'host', 'host:', ':1', 'host:70000', 'ho st:1', '[::1:1', 'a:b:1'])(
    'refuses the address %p',
    (address) => {
      expect(() => parseAddress(address)).toThrow(
        expect.objectContaining({ code: 'NET_ADDRESS_INVALID' }),
      );
    },
  );

  it('reads IPv6 addresses', () => {
    expect(parseAddress('[::1]:7410')).toEqual({ host: '::1', port: 7410 });
  });
});
