import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { hasCode } from '#libs/kernel';
import { isAccountName } from './account-name.ts';
import { UAI_LABELS_MAX, UAI_MAX_BYTES, type Uai, formatUai, isUai, parseUai } from './uai.ts';

const ID = 'ab'.repeat(32);
const WRITTEN_ID = formatUai({
  chain: ['meta'],
  account: { kind: 'id', id: ID },
  data: [],
  query: [],
}).slice('chain://meta/'.length);

describe('parseUai', () => {
  it('reads the chain from the root down, the account, the path, the query and the fragment', () => {
    expect(parseUai('chain://edu.pku.cs/alice/data/2024%20a?as=json&at=final#row=3')).toEqual({
      chain: ['edu', 'pku', 'cs'],
      account: { kind: 'name', name: 'alice' },
      data: ['data', '2024 a'],
      query: [
        ['as', 'json'],
        ['at', 'final'],
      ],
      fragment: 'row=3',
    });
  });

  it('reads a chain alone, the meta chain, and an account by its id', () => {
    expect(parseUai('chain://edu')).toEqual({ chain: ['edu'], data: [], query: [] });
    expect(parseUai('chain://meta/chains').chain).toEqual(['meta']);
    expect(parseUai(`chain://edu.pku/${WRITTEN_ID}`).account).toEqual({ kind: 'id', id: ID });
  });

  it.each([
    ['another scheme', 'http://edu/alice'],
    ['no scheme', 'edu.pku/alice'],
    ['an upper-case scheme', 'CHAIN://edu/alice'],
    ['an upper-case label', 'chain://Edu/alice'],
    ['no chain', 'chain:///alice'],
    ['an empty label', 'chain://edu..pku/alice'],
    ['a label that ends in a hyphen', 'chain://edu-/alice'],
    ['a label of 64 characters', `chain://${'a'.repeat(64)}/alice`],
    ['a meta label below another chain', 'chain://edu.meta/alice'],
    ['a label in another alphabet', 'chain://еdu/alice'],
    ['an empty account', 'chain://edu/'],
    ['an account that is no name', 'chain://edu/Alice'],
    ['an account id with a typing slip', `chain://edu/${WRITTEN_ID.slice(0, -1)}q`],
    ['an upper-case account id', `chain://edu/${WRITTEN_ID.toUpperCase()}`],
    ['an empty segment', 'chain://edu/alice//x'],
    ['a trailing slash', 'chain://edu/alice/x/'],
    ['a dot segment', 'chain://edu/alice/./x'],
    ['an escaped dot segment', 'chain://edu/alice/%2E%2E/x'],
    ['a needless escape', 'chain://edu/alice/%61'],
    ['a lower-case escape', 'chain://edu/alice/%c3%a9'],
    ['half an escape', 'chain://edu/alice/%C'],
    ['escapes that are not UTF-8', 'chain://edu/alice/%FF'],
    ['a raw space', 'chain://edu/alice/a b'],
    ['a raw non-ASCII character', 'chain://edu/alice/é'],
    ['unsorted parameters', 'chain://edu/alice?b=1&a=1'],
    ['a repeated parameter', 'chain://edu/alice?a=1&a=2'],
    ['a parameter without value', 'chain://edu/alice?a'],
    ['an empty query', 'chain://edu/alice?'],
    ['a second fragment', 'chain://edu/alice#a#b'],
    ['control characters', 'chain://edu/alice\r\nX: y'],
    ['a port', 'chain://edu:80/alice'],
    ['a user', 'chain://me@edu/alice'],
  ])('refuses %s', (_what, text) => {
    let code: unknown;
    try {
      parseUai(text);
    } catch (error) {
      code = hasCode(error, 'VTP_UAI_INVALID') ? 'VTP_UAI_INVALID' : error;
    }
    expect(code).toBe('VTP_UAI_INVALID');
  });

  it('takes 16 labels and 1024 bytes, and no more', () => {
    const labels = (n: number) => `chain://${Array(n).fill('a').join('.')}`;
    expect(isUai(labels(UAI_LABELS_MAX))).toBe(true);
    expect(isUai(labels(UAI_LABELS_MAX + 1))).toBe(false);
    const long = 'chain://edu/alice/'.padEnd(UAI_MAX_BYTES, 'x');
    expect(isUai(long)).toBe(true);
    expect(isUai(`${long}x`)).toBe(false);
  });
});

const label = fc
  .stringMatching(/^[a-z0-9](?:[a-z0-9-]{0,6}[a-z0-9])?$/)
  .filter((l) => l !== 'meta');
const name = fc.stringMatching(/^[a-z0-9]{3,12}$/).filter(isAccountName);
const segment = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 8 })
  .filter((s) => s !== '.' && s !== '..' && s.isWellFormed());
const anyText = fc.string({ unit: 'grapheme', maxLength: 8 }).filter((s) => s.isWellFormed());
const parameters = fc
  .uniqueArray(fc.tuple(segment, anyText), { maxLength: 3, selector: ([key]) => key })
  .map((pairs) => pairs.toSorted(([a], [b]) => (a < b ? -1 : 1)));
const uai: fc.Arbitrary<Uai> = fc
  .record({
    chain: fc.array(label, { minLength: 1, maxLength: 4 }),
    account: fc.oneof(
      name.map((text) => ({ kind: 'name' as const, name: text })),
      fc.constant({ kind: 'id' as const, id: ID }),
    ),
    data: fc.array(segment, { maxLength: 3 }),
    query: parameters,
    fragment: fc.option(anyText, { nil: undefined }),
  })
  .map(({ fragment, ...rest }) => (fragment === undefined ? rest : { ...rest, fragment }));

describe('one thing has one spelling', () => {
  it('parse(format(x)) = x', () => {
    fc.assert(
      fc.property(uai, (value) => expect(parseUai(formatUai(value))).toEqual(value)),
      { numRuns: 100 },
    );
  });

  it('format(parse(t)) = t for every accepted text, and nothing but VTP_UAI_INVALID otherwise', () => {
    const mutated = fc
      .tuple(uai, fc.nat(60), fc.string({ unit: 'binary', maxLength: 3 }), fc.nat(2))
      .map(([value, at, piece, cut]) => {
        const text = formatUai(value);
        return text.slice(0, at) + piece + text.slice(at + cut);
      });
    let accepted = 0;
    fc.assert(
      fc.property(fc.oneof(mutated, fc.string({ unit: 'binary' })), (text) => {
        if (!isUai(text)) return;
        accepted++;
        expect(formatUai(parseUai(text))).toBe(text);
      }),
      { numRuns: 300, seed: 5 },
    );
    expect(accepted).toBeGreaterThan(0);
  });

  it('format refuses parts that no text can carry', () => {
    const base: Uai = { chain: ['edu'], data: [], query: [] };
    for (const wrong of [
      { ...base, chain: [] },
      { ...base, data: ['path-without-account'] },
      { ...base, account: { kind: 'name' as const, name: 'No' } },
      { ...base, fragment: '\ud800' },
      { ...base, query: [['', 'x'] as const] },
    ])
      expect(() => formatUai(wrong)).toThrow();
  });
});

describe('docs/uai.md', () => {
  const page = readFileSync(new URL('../../../docs/uai.md', import.meta.url), 'utf8');
  const blockAfter = (heading: string): string[] =>
    (new RegExp(`${heading}:\\n\\n\`\`\`\\n([^\`]+)\`\`\``).exec(page)?.[1] ?? '')
      .trim()
      .split('\n');

  it('shows what is accepted and what is refused', () => {
    const accepted = blockAfter('Accepted');
    const refused = blockAfter('Refused');
    expect([accepted.length, refused.length]).toEqual([4, 6]);
    expect(accepted.filter((text) => !isUai(text))).toEqual([]);
    expect(refused.filter((text) => isUai(text))).toEqual([]);
  });
});
