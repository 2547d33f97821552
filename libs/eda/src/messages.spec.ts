import fc from 'fast-check';
import { bytesToHex, isSeeleError, utf8 } from '#libs/kernel';
import { type EdaMessage, decodeMessage, encodeMessage } from './messages.ts';

const hash = 'ab'.repeat(32);
const name = { era: 3, author: 1, seq: 2, hash };
const signature = new Uint8Array(64).fill(7);
const vote = { chain: hash, era: 3, slot: 9, view: 2, hash };
const T = 1_900_000_000_000_000;
const certificate = { view: 1, hash, votes: [{ from: 0, signature }] };
const blsSignature = new Uint8Array(96).fill(9);
const aggregate = { signers: Uint8Array.of(255, 1), signature: blsSignature };
const ackOf = { chain: hash, era: 3, author: 1, seq: 2, hash };
const body = {
  chain: hash,
  era: 3,
  slot: 9,
  prevHash: hash,
  timeUs: T,
  stateRoot: hash,
  receiptsRoot: hash,
  entries: [{ ...name, pos: T - 5, raw: T - 2 ** 33 }],
  outboxRoot: hash,
  setHash: hash,
  nextSetHash: hash,
  parentHeader: null,
  creator: 0,
  vrf: new Uint8Array(80),
};
const newview = {
  from: 1,
  message: {
    chain: hash,
    era: 3,
    slot: 9,
    prevHash: hash,
    view: 2,
    timeUs: T,
    highQc: certificate,
    reports: [{ ...name, x: T + 77 }],
  },
  signature,
};
const messages: readonly EdaMessage[] = [
  {
    kind: 'block',
    from: 1,
    signature,
    payload: Uint8Array.of(1, 2),
    message: { chain: hash, era: 3, author: 1, seq: 2, prevOwn: hash, txRoot: hash, count: 1 },
  },
  {
    kind: 'tick',
    from: 1,
    signature,
    message: { chain: hash, era: 3, k: 4, axis: T, entries: [{ ...name, x0: T - 9, x: T + 9 }] },
  },
  { kind: 'prepare', from: 1, message: vote, signature },
  { kind: 'commit', from: 1, message: vote, signature },
  { kind: 'newview', ...newview },
  {
    kind: 'proposal',
    from: 0,
    signature,
    message: { chain: hash, era: 3, slot: 9, view: 2, body, justification: [newview] },
  },
  { kind: 'attest', from: 1, message: { chain: hash, era: 3, slot: 9, hash }, signature },
  {
    kind: 'tick',
    from: 1,
    signature,
    message: { chain: hash, era: 3, k: 4, axis: T, entries: [], proof: new Uint8Array(80).fill(3) },
  },
  { kind: 'ack', from: 70, message: ackOf, signature: blsSignature },
  { kind: 'available', ack: ackOf, aggregate },
  {
    kind: 'certified',
    what: 'commit',
    chain: hash,
    era: 3,
    slot: 9,
    certificate: { view: 1, hash, votes: [], aggregate },
  },
  { kind: 'attested', attest: { chain: hash, era: 3, slot: 9, hash }, aggregate },
  { kind: 'final', body, certificate: { view: 1, hash, votes: [], aggregate } },
  { kind: 'final', body, certificate },
  { kind: 'body', body },
  { kind: 'fetch', blocks: [hash], bodies: [], finalsFrom: 3 },
];

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
  const final = messages.at(-3);
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
