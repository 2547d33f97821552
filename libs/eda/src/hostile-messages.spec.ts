/** What strangers and liars may send: forged, replayed, truncated, oversized, not canonical, of unknown eras. */
import { createSigner, hashOf } from '#libs/crypto';
import { isSeeleError } from '#libs/kernel';
import { createAuthenticator } from './authenticator.ts';
import { deriveBlsSigner } from './bls.ts';
import {
  type EdaMessage,
  ENTRIES_MAX,
  FETCH_MAX,
  MESSAGE_MAX_BYTES,
  type SignedKind,
  type SignedMessages,
  decodeMessage,
  encodeMessage,
} from './messages.ts';
import { EdaNode } from './node.ts';
import { sampleMessages } from './testing/sample-messages.ts';
import { DEFAULT_PARAMETERS, type EdaEffect } from './types.ts';
import { createValidatorSet } from './validator-set.ts';

function refusalOf(bytes: Uint8Array): string {
  try {
    decodeMessage(bytes);
    return 'nothing refused';
  } catch (error) {
    if (!isSeeleError(error)) throw error;
    return error.code;
  }
}

const kinds = sampleMessages.map((message, i) => [`${message.kind} (${i})`, message] as const);

describe.each(kinds)('bytes of %s', (_, message) => {
  const bytes = encodeMessage(message);

  it('cut off anywhere, or with a byte too many: refused', () => {
    for (let length = 0; length < bytes.length; length++)
      expect(refusalOf(bytes.subarray(0, length))).toMatch(/^KERNEL_/);
    expect(refusalOf(Uint8Array.of(...bytes, 0))).toMatch(/^KERNEL_/);
  });

  it('in another encoding of the same value: refused', () => {
    // The head of the outer map, and that of its first key, in a longer form than needed.
    const [map = 0, key = 0] = bytes;
    expect([map >> 5, key >> 5]).toEqual([5, 3]);
    const longer = (head: number) => [(head & 0xe0) | 24, head & 0x1f];
    expect(refusalOf(Uint8Array.of(...longer(map), ...bytes.subarray(1)))).toMatch(/^KERNEL_/);
    const other = Uint8Array.of(map, ...longer(key), ...bytes.subarray(2));
    expect(refusalOf(other)).toMatch(/^KERNEL_/);
  });
});

test('longer than any message, or with longer lists than allowed: refused before anything is built', () => {
  expect(refusalOf(new Uint8Array(MESSAGE_MAX_BYTES + 1))).toBe('EDA_MESSAGE_TOO_LARGE');
  const hash = 'ab'.repeat(32);
  const many = <T>(count: number, one: T): T[] => Array.from({ length: count }, () => one);
  const fetch = { kind: 'fetch', blocks: many(FETCH_MAX + 1, hash), bodies: [], finalsFrom: null };
  expect(() => encodeMessage(fetch as EdaMessage)).toThrow();
  const final = sampleMessages.findLast((one) => one.kind === 'final');
  if (final?.kind !== 'final') throw new Error('final');
  const entries = many(ENTRIES_MAX + 1, final.body.entries[0]);
  const full = { ...final, body: { ...final.body, entries } } as EdaMessage;
  expect(() => encodeMessage(full)).toThrow(/4096/);
  const votes = many(4_097, { from: 0, signature: new Uint8Array(64) });
  const crowd = { ...final, certificate: { ...final.certificate, votes } };
  expect(() => encodeMessage(crowd)).toThrow();
});

describe('a node among four', () => {
  const CHAIN = 'ab'.repeat(32);
  const NOW_US = 1_900_000_000_000_000;
  const ERA = Math.floor(NOW_US / DEFAULT_PARAMETERS.eraUs);
  const seeds = [0, 1, 2, 3].map((i) => new Uint8Array(32).fill(i + 1));
  const payloadRoot = (payload: Uint8Array) => hashOf('seele/eda-payload/1', payload);
  const auths = seeds.map((seed) =>
    createAuthenticator({
      signer: createSigner(seed),
      seed,
      bls: [deriveBlsSigner(seed)],
      payloadRoot,
    }),
  );
  const keys = seeds.map((seed) => createSigner(seed).publicKey);
  const zero = '00'.repeat(32);
  const create = () =>
    new EdaNode(
      {
        chain: CHAIN,
        publicKey: keys[0] as string,
        auth: auths[0] as (typeof auths)[0],
        parameters: DEFAULT_PARAMETERS,
        genesisTimeUs: NOW_US,
        genesisSet: createValidatorSet(
          keys.map((publicKey) => ({ publicKey, weight: 1 })),
          'classic',
        ),
        genesisRoots: { stateRoot: zero, receiptsRoot: zero, outboxRoot: zero },
      },
      NOW_US,
    );
  /** Said by validator 1, with its real key. */
  const signed = (message: EdaMessage, change: object): EdaMessage => {
    if (!('message' in message)) return { ...message, ...change } as EdaMessage;
    const kind = message.kind as SignedKind;
    const said = { ...message.message, ...change } as SignedMessages[SignedKind];
    const signature = (auths[1] as (typeof auths)[0]).sign(kind, said);
    return { ...message, from: 1, message: said, signature } as EdaMessage;
  };
  const harmless = (effects: readonly EdaEffect[]) =>
    effects.every((effect) => effect.kind === 'send' && effect.message.kind === 'fetch');

  it.each(kinds)(
    'hears %s of an era it does not know: nothing is signed, stored or decided',
    (_, sample) => {
      for (const era of [0, ERA - 1, ERA + 1, ERA + 2, ERA + 1_000, 2 ** 32]) {
        const node = create();
        const message = signed(sample, { era, slot: 1 });
        for (const effects of [1, 2].map(() =>
          node.handle({ kind: 'message', peer: keys[1] as string, message }, NOW_US + 1_000),
        ))
          if (message.kind !== 'recall' && message.kind !== 'fetch')
            expect({ era, effects, isHarmless: harmless(effects) }).toMatchObject({
              isHarmless: true,
            });
        expect([node.era, node.slot, node.view]).toEqual([ERA, 1, 0]);
        expect([...node.positions.open()]).toEqual([]);
      }
    },
  );

  it.each(kinds)(
    'hears %s that nobody signed: nothing is signed, stored or decided',
    (_, sample) => {
      const node = create();
      const changed =
        'message' in sample ? { message: { ...sample.message, era: ERA, slot: 1 } } : {};
      const forged = { ...sample, ...changed } as EdaMessage;
      const effects = node.handle(
        { kind: 'message', peer: keys[1] as string, message: forged },
        NOW_US + 1_000,
      );
      if (forged.kind !== 'recall') expect(harmless(effects)).toBe(true);
      expect([node.era, node.slot, node.view]).toEqual([ERA, 1, 0]);
      expect([...node.positions.open()]).toEqual([]);
    },
  );
});
