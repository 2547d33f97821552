import fc from 'fast-check';
import { type Bytes, isSeeleError } from '#libs/kernel';
import {
  FRAGMENT_BYTES,
  FRAME_HEAD_BYTES,
  FrameReader,
  frameMessage,
  framedBytes,
} from './frames.ts';
import { SendQueues } from './send-queues.ts';
import { Counters } from './counters.ts';
import type { ProtocolRules } from './transport.ts';

const LIMIT = 200_000;
const limitOf = (protocol: number) => (protocol < 4 ? LIMIT : undefined);

function readAll(chunks: readonly Bytes[]): { protocol: number; message: Bytes }[] {
  const out: { protocol: number; message: Bytes }[] = [];
  const reader = new FrameReader(limitOf, (protocol, message) => out.push({ protocol, message }));
  for (const chunk of chunks) reader.push(chunk);
  expect(reader.unfinishedBytes).toBe(0);
  return out;
}

function cut(bytes: Bytes, at: readonly number[]): Bytes[] {
  const points = [0, ...at.map((share) => Math.floor(share * bytes.length)), bytes.length].sort(
    (a, b) => a - b,
  );
  return points.slice(1).map((end, i) => bytes.subarray(points[i], end));
}

const messages = fc.array(
  fc.record({
    protocol: fc.integer({ min: 0, max: 3 }),
    message: fc.oneof(
      fc.uint8Array({ maxLength: 50 }),
      fc.integer({ min: 0, max: LIMIT }).map((n) => new Uint8Array(n).fill(n)),
      fc
        .constantFrom(FRAGMENT_BYTES - 1, FRAGMENT_BYTES, FRAGMENT_BYTES + 1)
        .map((n) => new Uint8Array(n).fill(3)),
    ),
  }),
  { maxLength: 6 },
);
const joined = (parts: readonly Bytes[]) => new Uint8Array(Buffer.concat(parts));
const refusal = (bytes: Bytes): unknown => {
  const reader = new FrameReader(limitOf, () => undefined);
  try {
    reader.push(bytes);
  } catch (error) {
    if (isSeeleError(error)) return error.detail.end;
    throw error;
  }
  return undefined;
};

describe('frames', () => {
  it('come back as they went in, however the stream is cut', () => {
    fc.assert(
      fc.property(messages, fc.array(fc.double({ min: 0, max: 1, noNaN: true })), (sent, cuts) => {
        const stream = joined(sent.map(({ protocol, message }) => frameMessage(protocol, message)));
        expect(stream.length).toBe(
          sent.reduce((sum, { message }) => sum + framedBytes(message.length), 0),
        );
        const received = readAll(cut(stream, cuts));
        expect(received.length).toBe(sent.length);
        for (const [i, { protocol, message }] of received.entries()) {
          expect(protocol).toBe(sent[i]?.protocol);
          expect(Buffer.compare(message, sent[i]?.message as Bytes)).toBe(0);
        }
      }),
      { numRuns: 40 },
    );
  });

  it('of changed or random bytes give messages or a coded end, never more memory than arrived and one fragment', () => {
    fc.assert(
      fc.property(
        messages,
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 8 }),
        fc.uint8Array({ maxLength: 300 }),
        (sent, changes, tail) => {
          const stream = joined([
            ...sent.map(({ protocol, message }) => frameMessage(protocol, message)),
            tail,
          ]);
          for (const [at, value] of changes)
            if (stream.length > 0) stream[at % stream.length] = value;
          const reader = new FrameReader(limitOf, (protocol, message) => {
            expect(message.length).toBeLessThanOrEqual(limitOf(protocol) as number);
          });
          try {
            reader.push(stream);
          } catch (error) {
            expect(error).toMatchObject({ code: 'NET_FRAME_INVALID' });
          }
          expect(reader.unfinishedBytes).toBeLessThanOrEqual(stream.length);
        },
      ),
      { numRuns: 100 },
    );
  });

  it.each([
    ['an unknown protocol', [9, 0, 0, 0, 1], 'unknown-protocol'],
    ['a fragment longer than fragments are', [1, 0, 0, 0x80, 1], 'malformed-frame'],
    ['a short fragment with more to follow', [1, 0x80, 0, 0, 1], 'malformed-frame'],
    ['an endless row of empty fragments', [1, 0x80, 0, 0, 0], 'malformed-frame'],
  ])('refuses %s', (_what, head, end) => {
    expect(refusal(Uint8Array.from(head))).toBe(end);
  });

  it('refuses a message as soon as it must be longer than its protocol allows', () => {
    const whole = new Uint8Array(LIMIT);
    expect(refusal(frameMessage(1, whole))).toBeUndefined();
    expect(refusal(frameMessage(1, new Uint8Array(LIMIT + 1)))).toBe('frame-too-large');
    const fragment = new Uint8Array(FRAME_HEAD_BYTES + FRAGMENT_BYTES);
    fragment.set([1, 0x80, 0, FRAGMENT_BYTES >> 8, 0]);
    const endless = joined(Array.from({ length: 7 }, () => fragment));
    expect(refusal(endless)).toBe('frame-too-large');
  });

  it('refuses a message that ends in an empty fragment: one message has one form', () => {
    const whole = frameMessage(1, new Uint8Array(FRAGMENT_BYTES));
    whole[1] = 0x80;
    expect(refusal(joined([whole, Uint8Array.of(1, 0, 0, 0, 0)]))).toBe('malformed-frame');
  });
});

describe('send queues', () => {
  const protocols: ProtocolRules[] = [
    { id: 1, name: 'bulk', priority: 2, maxMessageBytes: LIMIT, queueBytes: 2 * LIMIT },
    { id: 2, name: 'votes', priority: 0, maxMessageBytes: LIMIT, queueBytes: LIMIT, maxAgeMs: 100 },
  ];
  const create = () => {
    const counters = new Counters(protocols);
    return { counters, queues: new SendQueues(protocols, (id) => counters.of(id)) };
  };

  it('give every message once, whole and in the order of its protocol, whatever room there is', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom(1, 2), fc.integer({ min: 0, max: 70_000 })), {
          maxLength: 12,
        }),
        fc.array(fc.integer({ min: 1, max: 100_000 }), { minLength: 1 }),
        (adds, rooms) => {
          const { queues } = create();
          const expected = new Map<number, number[]>([
            [1, []],
            [2, []],
          ]);
          for (const [protocol, length] of adds)
            if (queues.add(protocol, new Uint8Array(length), 0))
              expected.get(protocol)?.push(length);
          const chunks: Bytes[] = [];
          for (let turn = 0; ; turn++) {
            const chunk = queues.take(rooms[turn % rooms.length] as number, 0);
            if (!chunk) break;
            chunks.push(chunk);
          }
          expect(queues.isEmpty).toBe(true);
          for (const { protocol, message } of readAll(chunks))
            expect(message.length).toBe(expected.get(protocol)?.shift());
          expect([...expected.values()].flat()).toEqual([]);
        },
      ),
      { numRuns: 40 },
    );
  });

  it('drop what is too old, but not what is half sent', () => {
    const { queues, counters } = create();
    queues.add(2, new Uint8Array(2 * FRAGMENT_BYTES), 0);
    queues.add(2, new Uint8Array(10), 0);
    queues.add(2, new Uint8Array(20), 150);
    const first = queues.take(1, 0) as Bytes;
    const rest = queues.take(1_000_000, 200) as Bytes;
    const received = readAll([first, rest]).map(({ message }) => message.length);
    expect(received).toEqual([2 * FRAGMENT_BYTES, 20]);
    expect(counters.of(2)).toMatchObject({ expired: 1, sentMessages: 2 });
  });
});
