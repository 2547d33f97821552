import fc from 'fast-check';
import { FrameReceiver, PARENT_FRAME_MAX_BYTES, TO_SLOT, chunkHead, frame } from './frames.ts';

/** The payload in hexadecimal: quick to compare. */
type Got = [type: number, stream: number, payload: string];

/** Gives the bytes in pieces no longer than there is room, nor than `most` says. */
function receive(bytes: Buffer, most: () => number): { got: Got[]; ok: boolean } {
  const got: Got[] = [];
  const receiver = new FrameReceiver((type, payload, stream) => {
    got.push([type, stream, payload.toString('hex')]);
    // What is handed on has a buffer of its own.
    expect(payload.buffer.byteLength).toBe(payload.length);
  });
  for (let at = 0; at < bytes.length;) {
    const room = receiver.room();
    const size = bytes.copy(room, 0, at, at + Math.min(room.length, most()));
    if (!receiver.took(size)) return { got, ok: false };
    at += size;
  }
  return { got, ok: true };
}

describe('frames on their way into a slot', () => {
  it('come out as they were sent, however the stream is cut', () => {
    const payload = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.integer({ min: 65_000, max: 70_000 }).map((length) => new Uint8Array(length).fill(7)),
    );
    const sent = fc.array(
      fc.record({ type: fc.constantFrom(...Object.values(TO_SLOT)), stream: fc.nat(), payload }),
      { maxLength: 5 },
    );
    const cut = fc.array(fc.oneof(fc.integer({ min: 1, max: 9 }), fc.constant(30_000)), {
      minLength: 3,
      maxLength: 9,
    });
    fc.assert(
      fc.property(sent, cut, (frames, cuts) => {
        const bytes = frames.map(({ type, stream, payload: body }) =>
          type === TO_SLOT.chunk
            ? Buffer.concat([chunkHead(stream, body.length), body])
            : frame(type, body),
        );
        let turn = 0;
        // Long pieces in between, or long frames take long.
        const most = () => (turn++ % 8 === 0 ? 30_000 : (cuts[turn % cuts.length] as number));
        const { got, ok } = receive(Buffer.concat(bytes), most);
        expect(ok).toBe(true);
        const wanted = frames.map(({ type, stream, payload: body }): Got => [
          type,
          type === TO_SLOT.chunk ? stream : 0,
          Buffer.from(body).toString('hex'),
        ]);
        expect(got).toEqual(wanted);
      }),
      { numRuns: 40 },
    );
  });

  it('are refused when they break the rules', () => {
    const long = Buffer.from([1, 0, 0, 0, 0]);
    long.writeUInt32LE(PARENT_FRAME_MAX_BYTES + 1, 1);
    expect(receive(long, () => 100).ok).toBe(false);
    const short = Buffer.from([TO_SLOT.chunk, 3, 0, 0, 0, 1, 2, 3, 4]);
    expect(receive(short, () => 100).ok).toBe(false);
  });
});
