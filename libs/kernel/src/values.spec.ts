import fc from 'fast-check';
import { formatAccount, madeOnce, parseAccount } from './account-id.ts';
import { AMOUNT_MAX, TOKEN, formatAmount, parseAmount, parseUnits } from './amount.ts';
import {
  bytesToHex,
  compareBytes,
  concatBytes,
  equalBytes,
  hexToBytes,
  utf8,
  utf8Decode,
} from './bytes.ts';
import {
  SeeleError,
  defineErrors,
  documentedErrors,
  errorEntry,
  hasCode,
  invariant,
  isSeeleError,
} from './errors.ts';
import { createSeededRandomness } from './randomness.ts';

const code = (expected: string) => expect.objectContaining({ code: expected });

describe('what is made once', () => {
  it('is that of its text, whatever was asked for before, and made again only when forgotten', () => {
    let made = 0;
    const upper = madeOnce((text) => {
      made++;
      if (text === 'bad') throw new Error('bad');
      return text.toUpperCase();
    });
    const texts = Array.from({ length: 40_000 }, (_, i) => i.toString(16).padStart(5, '0'));
    for (const text of texts) expect(upper(text) === text.toUpperCase()).toBe(true);
    expect(upper('')).toBe('');
    expect(() => upper('bad')).toThrow('bad');
    expect(() => upper('bad')).toThrow('bad');
    made = 0;
    for (let i = 0; i < 5; i++) expect(upper('0abcd')).toBe('0ABCD');
    expect(made).toBeLessThanOrEqual(1);
  });
});

describe('amounts', () => {
  it('are written with at least two decimals and read back exactly', () => {
    expect(formatAmount(12n * TOKEN + TOKEN / 2n)).toBe('12.50');
    expect(formatAmount(1n)).toBe('0.000000001');
    expect(formatAmount(-TOKEN)).toBe('-1.00');
    expect(parseAmount('12.5')).toBe(12_500_000_000n);
    expect(parseAmount(' 3 ')).toBe(3n * TOKEN);
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: AMOUNT_MAX }), (amount) => {
        expect(parseAmount(formatAmount(amount))).toBe(amount);
        expect(parseUnits(amount.toString())).toBe(amount);
      }),
      { numRuns: 60 },
    );
  });

  it('are refused when they are no amount or more than can exist', () => {
    const no = [
      '',
      '-1',
      '1.',
      '.5',
      '01',
      '1e3',
      '1,5',
      '0x1',
      '1.0000000001',
      '9223372036.854775808',
    ];
    for (const input of no) expect(() => parseAmount(input)).toThrow(code('KERNEL_AMOUNT_INVALID'));
    for (const input of ['', '1.5', '-1', '01', ' 1', `${AMOUNT_MAX + 1n}`])
      expect(() => parseUnits(input)).toThrow(code('KERNEL_AMOUNT_INVALID'));
    expect(parseUnits(`${AMOUNT_MAX}`)).toBe(AMOUNT_MAX);
  });
});

describe('account ids (BIP 350 bech32m)', () => {
  const anyId = fc.uint8Array({ minLength: 32, maxLength: 32 }).map(bytesToHex);

  it('are read back from their written form', () => {
    fc.assert(
      fc.property(anyId, (id) => {
        const written = formatAccount(id);
        expect(written).toMatch(/^seele1[02-9ac-hj-np-z]{58}$/);
        expect(parseAccount(written)).toBe(id);
      }),
      { numRuns: 40 },
    );
  });

  it('are refused with any one character changed, another prefix or length', () => {
    fc.assert(
      fc.property(anyId, fc.nat(57), fc.constantFrom('q', 'p', 'z', 'b', '1'), (id, at, letter) => {
        const written = formatAccount(id);
        const changed = written.slice(0, 6 + at) + letter + written.slice(7 + at);
        fc.pre(changed !== written);
        expect(() => parseAccount(changed)).toThrow(code('KERNEL_ID_INVALID'));
      }),
      { numRuns: 60 },
    );
    for (const input of [
      '',
      'seele1',
      'bc1pw508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7kt5nd6y',
    ])
      expect(() => parseAccount(input)).toThrow(code('KERNEL_ID_INVALID'));
    for (const input of ['', 'ab', 'AB'.repeat(32)])
      expect(() => formatAccount(input)).toThrow(code('KERNEL_ID_INVALID'));
  });
});

describe('bytes', () => {
  it('hex is lower-case and whole', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 50 }), (bytes) => {
        expect(bytesToHex(bytes)).toBe(Buffer.from(bytes).toString('hex'));
        expect(hexToBytes(bytesToHex(bytes))).toEqual(bytes);
      }),
      { numRuns: 40 },
    );
    for (const bad of ['a', 'AA', 'g0', '0x', ' 0']) expect(hexToBytes(bad)).toBeUndefined();
  });

  it('order and equality agree with Buffer', () => {
    const anyBytes = fc.uint8Array({ maxLength: 4, max: 3 });
    fc.assert(
      fc.property(anyBytes, anyBytes, (a, b) => {
        expect(Math.sign(compareBytes(a, b))).toBe(Buffer.compare(a, b));
        expect(equalBytes(a, b)).toBe(Buffer.compare(a, b) === 0);
        expect(concatBytes(a, b)).toEqual(new Uint8Array(Buffer.concat([a, b])));
      }),
      { numRuns: 80 },
    );
  });

  it('text keeps its byte order mark and refuses malformed UTF-8', () => {
    expect(utf8Decode(utf8('\ufeffä'))).toBe('\ufeffä');
    expect(() => utf8Decode(Uint8Array.of(0xc3))).toThrow(
      expect.objectContaining({ name: 'TypeError' }),
    );
  });
});

describe('errors', () => {
  const specError = defineErrors({
    KERNELSPEC_BROKEN: { status: 418, title: 'Broken', fix: 'Mend it.' },
  });

  it('carry their code, status, title, fix, detail and cause', () => {
    const cause = new Error('inner');
    const error = specError('KERNELSPEC_BROKEN', 'x is broken', { cause, detail: { x: 1 } });
    expect(error).toBeInstanceOf(SeeleError);
    expect(error).toMatchObject({
      code: 'KERNELSPEC_BROKEN',
      status: 418,
      title: 'Broken',
      fix: 'Mend it.',
      message: 'x is broken',
      detail: { x: 1 },
      cause,
    });
    expect(Object.hasOwn(specError('KERNELSPEC_BROKEN', ''), 'cause')).toBe(false);
    expect(isSeeleError(error) && hasCode(error, 'KERNELSPEC_BROKEN')).toBe(true);
    expect(hasCode(error, 'OTHER') || hasCode(cause, 'KERNELSPEC_BROKEN')).toBe(false);
  });

  it('are documented by code in order', () => {
    expect(errorEntry('KERNELSPEC_BROKEN')).toMatchObject({ status: 418 });
    const codes = documentedErrors().map(([name]) => name);
    expect(codes).toEqual([...codes].sort((a, b) => (a < b ? -1 : 1)));
  });

  it('name a broken invariant as our defect', () => {
    expect(() => invariant(false, 'it does not hold')).toThrow(code('KERNEL_INVARIANT'));
    expect(() => invariant(true, '')).not.toThrow();
  });
});

describe('seeded randomness', () => {
  it('repeats itself for one seed and differs for another', () => {
    const draw = (seed: number | bigint) => bytesToHex(createSeededRandomness(seed).bytes(33));
    expect(draw(7)).toBe(draw(7n));
    expect(draw(7)).not.toBe(draw(8));
    // Computed by another implementation of SplitMix64 and xoshiro128**.
    expect(draw(1)).toBe('ba4109650103d35421f3d225a9dcab3fa6e0b82a670089f9d90a2be16ad893a1ad');
  });

  it('forks generators that do not depend on draws made elsewhere', () => {
    const a = createSeededRandomness(1);
    const before = bytesToHex(a.fork('net').bytes(16));
    a.bytes(100);
    expect(bytesToHex(a.fork('net').bytes(16))).toBe(before);
    expect(bytesToHex(a.fork('disk').bytes(16))).not.toBe(before);
  });

  it('is uniform enough: every bit set half the time, every bucket hit as often', () => {
    const source = createSeededRandomness(5);
    const buckets = Array.from({ length: 10 }, () => 0);
    for (let i = 0; i < 20_000; i++) {
      const drawn = source.below(10);
      buckets[drawn] = (buckets[drawn] as number) + 1;
    }
    // Chi-squared with 9 degrees of freedom: 27.9 is the 0.1 % point.
    const chi = buckets.reduce((sum, n) => sum + (n - 2000) ** 2 / 2000, 0);
    expect(chi).toBeLessThan(27.9);
    const bits = Array.from({ length: 8 }, () => 0);
    for (const byte of source.bytes(20_000))
      for (let b = 0; b < 8; b++) bits[b] = (bits[b] as number) + ((byte >> b) & 1);
    for (const ones of bits) expect(Math.abs(ones - 10_000)).toBeLessThan(400);
    const floats = Array.from({ length: 2000 }, () => source.float());
    expect(Math.min(...floats)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...floats)).toBeLessThan(1);
    expect(source.chance(0) || !source.chance(1)).toBe(false);
    expect(['a', 'b']).toContain(source.pick(['a', 'b']));
  });

  it('refuses bounds that make no sense', () => {
    const source = createSeededRandomness(1);
    for (const bound of [0, -1, 1.5, 2 ** 33, Number.NaN])
      expect(() => source.below(bound)).toThrow(code('KERNEL_INVARIANT'));
    expect(source.below(1)).toBe(0);
  });
});
