import fc from 'fast-check';
import { bytesToHex, isSeeleError, utf8 } from '#libs/kernel';
import { type EdaMessage, decodeMessage, encodeMessage } from './messages.ts';
import { SAMPLE_TIME_US, sampleMessages, sampleName } from './testing/sample-messages.ts';

const messages = sampleMessages;
const name = sampleName;
const T = SAMPLE_TIME_US;

test.each(messages.map((message) => [message.kind, message] as const))(
  '%s: comes back from its canonical bytes; offsets beyond 32 bits too',
  (_, message) => {
    const bytes = encodeMessage(message);
    expect(decodeMessage(bytes)).toEqual(message);
    expect(encodeMessage(decodeMessage(bytes))).toEqual(bytes);
  },
);

test('sets that vote by ed25519 keep their bytes: no field of large sets is in them', () => {
  const [, tick] = messages;
  const final = messages.findLast(({ kind }) => kind === 'final');
  if (tick?.kind !== 'tick' || final?.kind !== 'final') throw new Error('messages');
  for (const [message, field] of [
    [tick, 'proof'],
    [final, 'aggregate'],
  ] as const)
    expect(bytesToHex(encodeMessage(message))).not.toContain(bytesToHex(utf8(field)));
});

test('a vote in a full tick takes some fifty bytes', () => {
  const entries = Array.from({ length: 4096 }, (_, seq) => ({
    ...name,
    seq,
    x0: T - 9000,
    x: T - 8000,
  }));
  const [, tick] = messages;
  if (tick?.kind !== 'tick') throw new Error('tick');
  const full: EdaMessage = { ...tick, message: { ...tick.message, entries } };
  expect(encodeMessage(full).length).toBeLessThan(4096 * 52);
  const over = { ...tick, message: { ...tick.message, entries: [...entries, ...entries] } };
  expect(() => encodeMessage(over)).toThrow(/4096/);
});

describe('whatever arrives: a message or a typed error', () => {
  const decodesOrRefuses = (bytes: Uint8Array) => {
    try {
      const message = decodeMessage(bytes);
      expect(encodeMessage(message)).toEqual(bytes);
    } catch (error) {
      if (!isSeeleError(error)) throw error;
    }
  };

  test('random bytes', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), decodesOrRefuses), { numRuns: 100 });
  });

  test('valid bytes, one of them changed, cut off or repeated', () => {
    const anyMessage = fc.constantFrom(...messages).map(encodeMessage);
    fc.assert(
      fc.property(anyMessage, fc.nat(), fc.nat(255), fc.nat(2), (bytes, at, value, how) => {
        const changed = bytes.slice();
        changed[at % changed.length] = value;
        if (how === 1) return decodesOrRefuses(bytes.slice(0, at % bytes.length));
        decodesOrRefuses(how === 2 ? Uint8Array.of(...bytes, value) : changed);
      }),
      { numRuns: 150 },
    );
  });
});
