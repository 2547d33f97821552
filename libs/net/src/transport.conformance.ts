/** What every adapter of the transport port must do. */
import { type Signer, createSigner } from '#libs/crypto';
import { type Bytes, utf8, utf8Decode } from '#libs/kernel';
import { netError } from './errors.ts';
import type { NetLimits } from './limits.ts';
import type { LinkNote, TransportOptions } from './options.ts';
import type { LinkEnd, PeerEvent, ProtocolRules, Transport } from './transport.ts';

export type BedOptions = Pick<TransportOptions, 'signer' | 'network' | 'protocols' | 'admit'> & {
  readonly limits: Partial<NetLimits>;
  readonly onNote: (note: LinkNote) => void;
};

/** Where transports live: real sockets and time, or virtual ones. */
export interface TransportBed {
  create(options: BedOptions): Transport;
  /** Lets time pass until `isDone`; whether it came to that in time. */
  until(isDone: () => boolean): Promise<boolean>;
  pass(ms: number): Promise<void>;
  nowMs(): number;
  /** Ends a transport as a killed process ends. */
  kill(transport: Transport): void;
  cleanUp(): Promise<void>;
}

export const TEST_NETWORK = 'ab'.repeat(32);
export const testSigner = (n: number): Signer => createSigner(new Uint8Array(32).fill(n));
export const TEST_PROTOCOLS: readonly ProtocolRules[] = [
  { id: 1, name: 'urgent', priority: 0, maxMessageBytes: 4096, queueBytes: 64 * 1024 },
  { id: 2, name: 'bulk', priority: 3, maxMessageBytes: 1024 * 1024, queueBytes: 4 * 1024 * 1024 },
  {
    id: 3,
    name: 'slow',
    priority: 3,
    maxMessageBytes: 64 * 1024,
    queueBytes: 1024 * 1024,
    receiveBytesPerSecond: 64 * 1024,
  },
  {
    id: 4,
    name: 'fleeting',
    priority: 3,
    maxMessageBytes: 1024 * 1024,
    queueBytes: 4 * 1024 * 1024,
    maxAgeMs: 100,
  },
];
const BAN_MS = 500;
const LIMITS: Partial<NetLimits> = {
  handshakeMs: 1_500,
  redialMs: 20,
  redialMaxMs: 100,
  silenceMs: 2_000,
  stallMs: 2_500,
  banMs: BAN_MS,
  inHandBytes: 64 * 1024,
  inFlightBytes: 64 * 1024,
};

interface Party {
  readonly transport: Transport;
  readonly address: string;
  readonly events: PeerEvent[];
  readonly notes: LinkNote[];
  readonly heard: { from: string; protocol: number; text: string }[];
  admits: (peer: string) => boolean;
}

export function describeTransport(name: string, createBed: () => TransportBed): void {
  describe(`Transport: ${name}`, () => {
    let bed: TransportBed;
    let parties: Party[];

    async function join(n: number, changes: Partial<BedOptions> = {}): Promise<Party> {
      const party = { events: [], notes: [], heard: [], admits: () => true } as unknown as {
        -readonly [K in keyof Party]: Party[K];
      };
      party.transport = bed.create({
        signer: testSigner(n),
        network: TEST_NETWORK,
        protocols: TEST_PROTOCOLS,
        admit: (peer) => party.admits(peer),
        limits: LIMITS,
        onNote: (note) => party.notes.push(note),
        ...changes,
      });
      for (const { id } of changes.protocols ?? TEST_PROTOCOLS)
        party.transport.onMessage(id, (from, bytes) => {
          party.heard.push({
            from,
            protocol: id,
            text: bytes.length < 200 ? utf8Decode(bytes) : `${bytes.length} bytes`,
          });
        });
      party.transport.onPeer((event) => party.events.push(event));
      party.address = await party.transport.listen();
      parties.push(party);
      return party;
    }
    const keyOf = (party: Party) => party.transport.publicKey;
    const dial = (from: Party, to: Party) => from.transport.dial(keyOf(to), to.address);
    const linked = (a: Party, b: Party) => () =>
      a.transport.isLinked(keyOf(b)) && b.transport.isLinked(keyOf(a));
    async function link(a: Party, b: Party): Promise<void> {
      dial(a, b);
      expect(await bed.until(linked(a, b))).toBe(true);
    }
    const endsOf = (party: Party) =>
      party.notes.flatMap(({ what, end }) =>
        what === 'up' || what === 'dial-failed' ? [] : [end],
      );
    const send = (from: Party, to: Party, protocol: number, message: string | Bytes) =>
      from.transport.send(
        keyOf(to),
        protocol,
        typeof message === 'string' ? utf8(message) : message,
      );

    beforeEach(() => {
      bed = createBed();
      parties = [];
    });
    afterEach(async () => {
      await Promise.all(parties.map(({ transport }) => transport.close()));
      await bed.cleanUp();
    });

    it('links two peers that know each other by key, and carries messages both ways in order', async () => {
      const [a, b] = [await join(1), await join(2)];
      await link(a, b);
      expect(a.events).toEqual([{ kind: 'up', peer: keyOf(b), dialled: true }]);
      expect(b.events).toEqual([{ kind: 'up', peer: keyOf(a), dialled: false }]);
      for (let i = 0; i < 50; i++) send(a, b, 1, `ping ${i}`);
      expect(send(b, a, 2, 'pong')).toBe('queued');
      expect(await bed.until(() => b.heard.length === 50 && a.heard.length === 1)).toBe(true);
      expect(b.heard.map(({ text }) => text)).toEqual(
        Array.from({ length: 50 }, (_, i) => `ping ${i}`),
      );
      expect(a.heard).toEqual([{ from: keyOf(b), protocol: 2, text: 'pong' }]);
    });

    it('carries empty messages and the longest ones byte for byte, and refuses longer ones at once', async () => {
      const [a, b] = [await join(1), await join(2)];
      await link(a, b);
      const long = new Uint8Array(1024 * 1024);
      for (let i = 0; i < long.length; i++) long[i] = (i * 7) ^ (i >> 8);
      let received: Bytes | undefined;
      b.transport.onMessage(2, (_from, bytes) => void (received = bytes));
      send(a, b, 2, long);
      send(a, b, 1, '');
      expect(await bed.until(() => received !== undefined && b.heard.length === 1)).toBe(true);
      expect(Buffer.compare(received as Bytes, long)).toBe(0);
      expect(b.heard[0]?.text).toBe('');
      expect(() => send(a, b, 1, new Uint8Array(4097))).toThrow(
        expect.objectContaining({ code: 'NET_MESSAGE_TOO_LARGE' }),
      );
      expect(() => send(a, b, 9, 'x')).toThrow(
        expect.objectContaining({ code: 'NET_PROTOCOL_UNKNOWN' }),
      );
    });

    it('lets urgent messages overtake long ones that wait', async () => {
      const [a, b] = [await join(1), await join(2)];
      await link(a, b);
      for (let i = 0; i < 3; i++) send(a, b, 2, new Uint8Array(1024 * 1024));
      send(a, b, 1, 'urgent');
      expect(await bed.until(() => b.heard.length === 4)).toBe(true);
      expect(b.heard[0]?.text).toBe('urgent');
    });

    it('refuses more than its queue holds, and says so', async () => {
      const [a, b] = [await join(1), await join(2)];
      await link(a, b);
      const outcomes = Array.from({ length: 20 }, () => send(a, b, 1, new Uint8Array(4096)));
      expect(outcomes.filter((outcome) => outcome === 'queued')).toHaveLength(16);
      expect(outcomes.at(-1)).toBe('queue-full');
      expect(a.transport.queuedBytes(keyOf(b), 1)).toBe(64 * 1024);
      expect(a.transport.stats().protocols.urgent).toMatchObject({ refused: 4 });
      expect(await bed.until(() => b.heard.length === 16)).toBe(true);
      expect(send(a, b, 1, 'x')).toBe('queued');
      expect(send(b, await join(3), 1, 'x')).toBe('no-link');
    });

    it('drops what waited too long, but finishes what it began', async () => {
      const [a, b] = [await join(1), await join(2)];
      await link(a, b);
      let release = (): void => undefined;
      b.transport.onMessage(4, (from, bytes) => {
        b.heard.push({ from, protocol: 4, text: `${bytes.length} bytes` });
        return new Promise<void>((resolve) => (release = resolve));
      });
      for (let i = 0; i < 4; i++) send(a, b, 4, new Uint8Array(1024 * 1024));
      // The first handler never ends, so the sender can get rid of no more than buffers hold.
      expect(await bed.until(() => b.heard.length >= 1)).toBe(true);
      await bed.pass(150);
      for (let i = 0; i < 4; i++) send(a, b, 4, new Uint8Array(1024 * 1024));
      await bed.pass(150);
      b.transport.onMessage(
        4,
        (from, bytes) => void b.heard.push({ from, protocol: 4, text: `${bytes.length} bytes` }),
      );
      release();
      const sender = () => a.transport.stats().protocols.fleeting;
      expect(await bed.until(() => (sender()?.queuedBytes ?? 1) === 0)).toBe(true);
      expect(sender()?.expired).toBeGreaterThan(0);
      expect(b.heard.every(({ text }) => text === `${1024 * 1024} bytes`)).toBe(true);
    });

    it('waits with reading while handlers are busy, and loses nothing', async () => {
      const [a, b] = [await join(1), await join(2)];
      await link(a, b);
      let running = 0;
      let most = 0;
      const releases: (() => void)[] = [];
      b.transport.onMessage(2, () => {
        most = Math.max(most, ++running);
        return new Promise<void>((resolve) =>
          releases.push(() => {
            running--;
            resolve();
          }),
        );
      });
      for (let i = 0; i < 40; i++) send(a, b, 2, new Uint8Array(50_000));
      await bed.until(() => running > 0);
      await bed.pass(100);
      // 64 KiB may be in hand, and what one read brings on top.
      expect(most).toBeLessThan(20);
      let done = 0;
      const isDone = (): boolean => {
        for (const release of releases.splice(0)) {
          release();
          done++;
        }
        return done === 40;
      };
      expect(await bed.until(isDone)).toBe(true);
    });

    it('reads a peer that sends above its rate more slowly, and cuts nobody off', async () => {
      const [a, b] = [await join(1), await join(2)];
      await link(a, b);
      // 128 KiB of burst, then 64 KiB a second.
      const beganMs = bed.nowMs();
      for (let i = 0; i < 10; i++) send(a, b, 3, new Uint8Array(16 * 1024));
      expect(await bed.until(() => b.heard.length >= 8)).toBe(true);
      for (let i = 0; i < 8; i++) send(a, b, 3, new Uint8Array(16 * 1024));
      expect(await bed.until(() => b.heard.length === 18)).toBe(true);
      expect(bed.nowMs() - beganMs).toBeGreaterThan(1_000);
      expect(a.transport.isLinked(keyOf(b))).toBe(true);
    });

    it('refuses whoever is not on the list, and who proves another key than was dialled', async () => {
      const [a, b, c] = [await join(1), await join(2), await join(3)];
      b.admits = (peer) => peer !== keyOf(a);
      dial(a, b);
      a.transport.dial(keyOf(b), c.address);
      a.transport.dial(testSigner(4).publicKey, c.address);
      expect(
        await bed.until(
          () =>
            ['not-authentic', 'not-admitted'].every((end) => endsOf(a).includes(end as LinkEnd)) &&
            endsOf(b).includes('not-admitted'),
        ),
      ).toBe(true);
      expect(a.transport.peers()).toEqual([]);
      expect(b.events).toEqual([]);
      b.admits = () => true;
      expect(await bed.until(linked(a, b))).toBe(true);
      b.admits = (peer) => peer !== keyOf(a);
      b.transport.review();
      expect(await bed.until(() => !a.transport.isLinked(keyOf(b)))).toBe(true);
      expect(a.events.at(-1)).toMatchObject({ kind: 'down', end: 'not-admitted' });
    });

    it('refuses peers of another network', async () => {
      const [a, b] = [await join(1), await join(2, { network: 'cd'.repeat(32) })];
      dial(a, b);
      for (const one of [a, b])
        expect(await bed.until(() => endsOf(one).includes('wrong-network'))).toBe(true);
      expect(b.events).toEqual([]);
    });

    it('keeps one link when both dial at once, the same on both sides', async () => {
      const [a, b] = [await join(1), await join(2)];
      dial(a, b);
      dial(b, a);
      expect(await bed.until(linked(a, b))).toBe(true);
      await bed.pass(200);
      expect(linked(a, b)()).toBe(true);
      expect(a.transport.stats().peers).toHaveLength(1);
      expect(a.transport.stats().peers[0]?.dialled).not.toBe(b.transport.stats().peers[0]?.dialled);
      send(a, b, 1, 'there');
      send(b, a, 1, 'back');
      expect(await bed.until(() => a.heard.length === 1 && b.heard.length === 1)).toBe(true);
    });

    it('dials until there is somebody, and again when the peer was killed and came back', async () => {
      const a = await join(1);
      const gone = await join(2);
      bed.kill(gone.transport);
      dial(a, gone);
      expect(await bed.until(() => a.transport.stats().failedDials >= 2)).toBe(true);
      const b = await join(2);
      a.transport.dial(keyOf(b), b.address);
      expect(await bed.until(linked(a, b))).toBe(true);
      bed.kill(b.transport);
      expect(await bed.until(() => !a.transport.isLinked(keyOf(b)))).toBe(true);
      expect(send(a, b, 1, 'x')).toBe('no-link');
      const again = await join(2);
      a.transport.dial(keyOf(again), again.address);
      expect(await bed.until(linked(a, again))).toBe(true);
    });

    it('dials no more after it hung up', async () => {
      const [a, b] = [await join(1), await join(2)];
      await link(a, b);
      a.transport.hangUp(keyOf(b));
      expect(await bed.until(() => !b.transport.isLinked(keyOf(a)))).toBe(true);
      expect(b.events.at(-1)).toMatchObject({ kind: 'down', end: 'goodbye' });
      const { dials } = a.transport.stats();
      await bed.pass(300);
      expect(a.transport.stats().dials).toBe(dials);
    });

    it('cuts off a peer whose message a handler calls a lie, and admits it no more for a while', async () => {
      const [a, b] = [await join(1), await join(2)];
      await link(a, b);
      for (const [protocol, isAsync] of [
        [1, false],
        [2, true],
      ] as const) {
        let liedAtMs = Infinity;
        b.transport.onMessage(protocol, () => {
          liedAtMs = bed.nowMs();
          const error = netError('NET_SYNC_INVALID', 'a lie');
          if (isAsync) return Promise.reject(error);
          throw error;
        });
        send(a, b, protocol, 'lie');
        expect(await bed.until(() => !a.transport.isLinked(keyOf(b)))).toBe(true);
        expect(a.events.at(-1)).toMatchObject({ kind: 'down', end: 'misbehaved' });
        expect(await bed.until(linked(a, b))).toBe(true);
        expect(bed.nowMs() - liedAtMs).toBeGreaterThan(BAN_MS - 50);
      }
    });

    it('keeps quiet links alive and measures their round trip', async () => {
      const [a, b] = [await join(1), await join(2)];
      await link(a, b);
      await bed.pass(1500);
      expect(linked(a, b)()).toBe(true);
      expect(a.transport.stats().peers[0]?.roundTripMs).toBeGreaterThanOrEqual(0);
    });

    it('counts what it sends, receives and loses', async () => {
      const [a, b] = [await join(1), await join(2)];
      await link(a, b);
      send(a, b, 1, 'four');
      a.transport.broadcast(1, utf8('to all'));
      expect(await bed.until(() => b.heard.length === 2)).toBe(true);
      expect(a.transport.stats().protocols.urgent).toMatchObject({
        sentMessages: 2,
        sentBytes: 10,
      });
      expect(b.transport.stats().protocols.urgent).toMatchObject({
        receivedMessages: 2,
        receivedBytes: 10,
      });
      bed.kill(b.transport);
      expect(await bed.until(() => !a.transport.isLinked(keyOf(b)))).toBe(true);
      const { ends } = a.transport.stats();
      expect(Object.values(ends).reduce((sum, n) => sum + n, 0)).toBe(1);
    });

    it('says goodbye when it closes, and takes nobody afterwards', async () => {
      const [a, b] = [await join(1), await join(2)];
      await link(a, b);
      await b.transport.close();
      expect(await bed.until(() => !a.transport.isLinked(keyOf(b)))).toBe(true);
      expect(a.events.at(-1)).toMatchObject({ kind: 'down', end: 'goodbye' });
      expect(await bed.until(() => a.transport.stats().failedDials >= 1)).toBe(true);
    });
  });
}
