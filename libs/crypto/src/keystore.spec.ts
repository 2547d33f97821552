import { createSeededRandomness, isSeeleError } from '#libs/kernel';
import fc from 'fast-check';
import { keyPairFromSeed } from './accounts.ts';
import { KEYSTORE_COST, keystoreOwner, openKeystore, sealKeystore } from './keystore.ts';

const CHEAP = { n: 2 ** 4, r: 8, p: 1 };
const randomness = createSeededRandomness(1);
const seed = randomness.bytes(32);
const text = sealKeystore(seed, 'correct horse', randomness, CHEAP);
const code = (action: () => unknown): string => {
  try {
    action();
    return 'opened';
  } catch (error) {
    if (!isSeeleError(error)) throw error;
    return error.code;
  }
};
const altered = (change: (file: Record<string, Record<string, unknown>>) => void): string => {
  const file = JSON.parse(text);
  change(file);
  return JSON.stringify(file);
};

describe('keystore', () => {
  it('opens with its passphrase, in either Unicode form, and names its owner without one', () => {
    expect(openKeystore(text, 'correct horse')).toEqual(keyPairFromSeed(seed));
    expect(keystoreOwner(text).publicKey).toBe(keyPairFromSeed(seed).publicKey);
    const accented = sealKeystore(seed, 'caf\u00e9', randomness, CHEAP);
    expect(openKeystore(accented, 'cafe\u0301').seed).toEqual(seed);
  });

  it('seals with scrypt N = 2^17, r = 8, p = 1 unless told otherwise', () => {
    expect(KEYSTORE_COST).toEqual({ n: 131_072, r: 8, p: 1 });
    const file = sealKeystore(seed, 'p', randomness);
    expect(JSON.parse(file).kdf).toMatchObject({ name: 'scrypt', n: 131_072, r: 8, p: 1 });
    expect(openKeystore(file, 'p').seed).toEqual(seed);
  });

  it('says when the passphrase is wrong or empty', () => {
    expect(code(() => openKeystore(text, 'wrong horse'))).toBe('KEYSTORE_PASSPHRASE_WRONG');
    expect(code(() => openKeystore(text, ''))).toBe('KEYSTORE_PASSPHRASE_EMPTY');
    expect(code(() => sealKeystore(seed, '', randomness, CHEAP))).toBe('KEYSTORE_PASSPHRASE_EMPTY');
  });

  it('says when the file is truncated, whatever is missing', () => {
    for (let length = 0; length < text.trimEnd().length; length += 7)
      expect(code(() => openKeystore(text.slice(0, length), 'correct horse'))).toBe(
        'KEYSTORE_CORRUPT',
      );
  });

  it('refuses a cost that would exhaust the machine before spending any of it', () => {
    for (const kdf of [
      { n: 2 ** 30 },
      { n: 2 ** 20, r: 32 },
      { p: 1000 },
      { r: -1 },
      { n: 3 },
      { n: '16' },
    ])
      expect(
        code(() =>
          openKeystore(
            altered((f) => Object.assign(f.kdf as object, kdf)),
            'x',
          ),
        ),
      ).toBe('KEYSTORE_COST_REFUSED');
  });

  it('says when the file is of another version or kind', () => {
    const version = altered((f) => Object.assign(f, { version: 2 }));
    expect(code(() => openKeystore(version, 'x'))).toBe('KEYSTORE_UNSUPPORTED');
    const kind = altered((f) => Object.assign(f, { kind: 'ethereum' }));
    expect(code(() => openKeystore(kind, 'x'))).toBe('KEYSTORE_CORRUPT');
  });

  it('authenticates its header even when the checksum was made to fit', () => {
    const other = sealKeystore(new Uint8Array(32).fill(9), 'correct horse', randomness, CHEAP);
    const mixed = { ...JSON.parse(text), sealed: JSON.parse(other).sealed };
    expect(code(() => openKeystore(JSON.stringify(mixed), 'correct horse'))).toBe(
      'KEYSTORE_CORRUPT',
    );
  });

  it('never opens a file with a changed character, and never fails unclearly', () => {
    fc.assert(
      fc.property(
        fc.nat(text.trimEnd().length - 1),
        fc.constantFrom('0', 'a', '9', '"', '{', ',', 'x'),
        (at, character) => {
          fc.pre(text[at] !== character && text[at]?.trim() !== '');
          const changed = text.slice(0, at) + character + text.slice(at + 1);
          expect(code(() => openKeystore(changed, 'correct horse'))).not.toBe('opened');
        },
      ),
      { numRuns: 100 },
    );
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (anything) => {
        expect(code(() => openKeystore(anything, 'x'))).not.toBe('opened');
      }),
      { numRuns: 50 },
    );
  });
});
