import fc from 'fast-check';
import { parseEventStream } from './event-stream.ts';

async function* inPieces(text: string, cuts: readonly number[]): AsyncGenerator<Uint8Array> {
  const bytes = new TextEncoder().encode(text);
  const at = [0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].toSorted(
    (a, b) => a - b,
  );
  for (let i = 1; i < at.length; i++) yield bytes.subarray(at[i - 1], at[i]);
}

async function parsed(text: string, cuts: readonly number[] = []) {
  return Array.fromAsync(parseEventStream(inPieces(text, cuts)));
}

describe('server-sent events (WHATWG HTML 9.2.6)', () => {
  it('joins data lines, keeps the last id, skips comments and unknown fields', async () => {
    const text = ': hi\n\nid: 7\nevent: log\ndata: a\ndata:b\nretry: 5\n\ndata: c\n\n';
    expect(await parsed(text)).toEqual([
      { id: '7', event: 'log', data: 'a\nb' },
      { id: '7', event: 'message', data: 'c' },
    ]);
  });

  it('drops an event that was not finished', async () => {
    expect(await parsed('data: whole\n\ndata: half')).toHaveLength(1);
  });

  it('gives the same events however the bytes are cut, also inside characters and CRLF', async () => {
    const text = 'id: 1\r\ndata: {"städte":"北京"}\r\n\r\nid: 2\rdata: x\r\rdata: y\n\n';
    const whole = await parsed(text);
    expect(whole).toHaveLength(3);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(), { maxLength: 8 }), async (cuts) => {
        expect(await parsed(text, cuts)).toEqual(whole);
      }),
      { numRuns: 60 },
    );
  });
});
