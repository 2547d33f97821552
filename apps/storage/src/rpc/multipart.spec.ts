import fc from 'fast-check';
import { isSeeleError } from '#libs/kernel';

import { cutInto } from './commands/chunks.ts';
import { boundaryOf, readParts } from './multipart.ts';

async function* inPieces(bytes: Buffer, sizes: readonly number[]): AsyncGenerator<Buffer> {
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length] as number;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

async function partsOf(bytes: Buffer, sizes: readonly number[]) {
  const out: { filename: string | undefined; body: string }[] = [];
  for await (const { filename, body } of readParts(inPieces(bytes, sizes), 'B')) {
    const chunks: Buffer[] = [];
    for await (const chunk of body) chunks.push(chunk);
    out.push({ filename, body: Buffer.concat(chunks).toString('latin1') });
  }
  return out;
}

const pieces = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 6 });
/** Bodies that look like the delimiter as often as possible. */
const body = fc
  .array(fc.constantFrom('\r', '\n', '-', '--', 'B', '\r\n', '\r\n-', '\r\n--', 'x', '\r\n--b'))
  .map((words) => words.join(''))
  .filter((text) => !text.includes('\r\n--B') && !text.startsWith('--B'));

describe('multipart/form-data (RFC 2046 5.1.1)', () => {
  it('gives every part back, however the bytes arrive', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(body, { maxLength: 5 }), pieces, async (bodies, sizes) => {
        const text = bodies
          .map((b, i) => `--B\r\nContent-Disposition: form-data; filename="f${i}"\r\n\r\n${b}\r\n`)
          .join('');
        const parts = await partsOf(Buffer.from(`${text}--B--\r\n`, 'latin1'), sizes);
        expect(parts).toEqual(bodies.map((b, i) => ({ filename: `f${i}`, body: b })));
      }),
      { numRuns: 100 },
    );
  });

  it('refuses every truncation of a body', async () => {
    const whole = Buffer.from(
      '--B\r\nContent-Disposition: form-data; name="a"\r\n\r\nabc\r\n--B--',
    );
    for (let length = 0; length < whole.length; length++)
      await expect(partsOf(whole.subarray(0, length), [7])).rejects.toMatchObject({
        code: 'STORAGE_RPC_BODY',
      });
    expect(await partsOf(whole, [7])).toEqual([{ filename: undefined, body: 'abc' }]);
  });

  it('throws nothing but its own error on noise', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), pieces, async (noise, sizes) => {
        const bytes = Buffer.concat([Buffer.from('--B\r\n'), noise]);
        await partsOf(bytes, sizes).catch((error: unknown) => {
          if (!isSeeleError(error)) throw error;
        });
      }),
      { numRuns: 100 },
    );
  });

  it('skips the body of a part that nobody reads', async () => {
    const text = '--B\r\n\r\nlong unread body\r\n--B\r\n\r\nsecond\r\n--B--';
    let last = '';
    for await (const part of readParts(inPieces(Buffer.from(text), [5]), 'B'))
      if (last === '') last = 'skipped';
      else for await (const chunk of part.body) last += chunk.toString();
    expect(last).toBe('skippedsecond');
  });

  it.each([
    ['multipart/form-data; boundary=abc', 'abc'],
    ['multipart/form-data; charset=x; boundary="a b"', 'a b'],
    ['Multipart/Form-Data;boundary=--x--', '--x--'],
  ])('reads the boundary of %j', (type, boundary) => expect(boundaryOf(type)).toBe(boundary));

  it.each([undefined, '', 'text/plain', 'multipart/mixed; boundary=a', 'multipart/form-data'])(
    'refuses the type %j',
    (type) => expect(() => boundaryOf(type)).toThrow(/multipart/),
  );
});

describe('cutInto', () => {
  it('cuts into equal chunks, whatever the pieces', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(900),
        fc.integer({ min: 1, max: 300 }),
        pieces,
        async (n, size, p) => {
          const bytes = Buffer.from(Array.from({ length: n }, (_, i) => i % 251));
          const chunks: Buffer[] = [];
          for await (const chunk of cutInto(size)(inPieces(bytes, p)))
            chunks.push(Buffer.from(chunk));
          expect(Buffer.concat(chunks).equals(bytes)).toBe(true);
          const lengths = chunks.map((chunk) => chunk.length);
          expect(lengths.slice(0, -1).every((length) => length === size)).toBe(true);
          expect(lengths.at(-1)).toBe(n === 0 ? 0 : n % size || size);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('grows its first chunk to the full length', async () => {
    const bytes = Buffer.alloc(300_000, 7);
    const lengths: number[] = [];
    for await (const chunk of cutInto(262_144)(inPieces(bytes, [50_000])))
      lengths.push(chunk.length);
    expect(lengths).toEqual([262_144, 300_000 - 262_144]);
  });
});
