import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { createSeededRandomness, isSeeleError, utf8 } from '#libs/kernel';
import {
  CommittedDirectory,
  SECRET_BYTES,
  canonicalHash,
  canonicalLines,
  createShapeValidator,
  decodeDisclosure,
  encodeDisclosure,
  hasBlankNodes,
  isPublicPart,
  quadLine,
  readJsonLd,
  readRdf,
  skolemise,
  sortedLines,
  verifyDisclosure,
  writeRdf,
} from './index.ts';

const BASE = 'chain://health.clinic/acc1qk3';
const file = (name: string) =>
  readFileSync(new URL(`../../../schemas/${name}`, import.meta.url), 'utf8');
const example = () => readRdf(file('examples/directory.ttl'), { format: 'turtle' });
const shapes = () => readRdf(file('shapes.ttl'), { format: 'turtle' });
const ttl = (text: string) => readRdf(text, { format: 'turtle', baseIri: 'https://example.org/' });

describe('reading metadata documents', () => {
  it('reads each statement once, in every format it writes', () => {
    const quads = example();
    expect(quads.length).toBeGreaterThan(150);
    for (const format of ['turtle', 'trig', 'n-quads', 'n-triples'] as const) {
      const again = readRdf(writeRdf(quads, format), { format });
      expect(again).toHaveLength(quads.length);
    }
  });

  it.each([
    ['a relative IRI without a base', '<a> <b> <c> .', 'MDDS_SYNTAX'],
    ['a text without its end', '<https://a> <https://b> "c', 'MDDS_SYNTAX'],
    [
      'a triple term',
      '<https://a> <https://b> <<( <https://a> <https://b> <https://c> )>> .',
      'MDDS_SYNTAX',
    ],
    ['depth', `<https://a> <https://b> ${'['.repeat(40)}${']'.repeat(40)} .`, 'MDDS_LIMIT'],
    ['a long IRI', `<https://a> <https://b> <https://${'c'.repeat(3_000)}> .`, 'MDDS_LIMIT'],
    ['a long text', `<https://a> <https://b> "${'c'.repeat(70_000)}" .`, 'MDDS_LIMIT'],
  ])('refuses %s', (_what, text, code) => {
    expect(() => readRdf(text, { format: 'turtle' })).toThrow(expect.objectContaining({ code }));
  });

  it('refuses what is too large before parsing it, and what is not UTF-8', () => {
    const limits = {
      documentBytesMax: 10,
      quadsMax: 2,
      iriCharsMax: 50,
      literalBytesMax: 50,
      depthMax: 2,
    };
    expect(() => readRdf('x'.repeat(11), { format: 'turtle', limits })).toThrow(
      expect.objectContaining({ code: 'MDDS_LIMIT' }),
    );
    expect(() => readRdf(Uint8Array.of(0xff, 0xfe), { format: 'turtle' })).toThrow(
      expect.objectContaining({ code: 'MDDS_SYNTAX' }),
    );
  });

  it('ends every mutation of a document as statements or a coded refusal', () => {
    const bytes = utf8(file('examples/complete.ttl'));
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1 }),
        (edits) => {
          const mutant = bytes.slice();
          for (const [at, value] of edits) mutant[at] = value;
          try {
            readRdf(mutant, { format: 'turtle' });
          } catch (error) {
            expect(isSeeleError(error)).toBe(true);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it('reads JSON-LD with contexts that it carries or that are built in, and fetches none', async () => {
    const context = { '@vocab': 'https://w3id.org/mdds/ns#', id: '@id', type: '@type' };
    const document = { id: `${BASE}/cmp/1`, type: 'ComputeResource', cpuCores: '16' };
    const inside = await readJsonLd(JSON.stringify({ '@context': context, ...document }));
    const contexts = { 'https://w3id.org/mdds/context.jsonld': { '@context': context } };
    const referring = { '@context': 'https://w3id.org/mdds/context.jsonld', ...document };
    const builtIn = await readJsonLd(JSON.stringify(referring), { contexts });
    expect(sortedLines(builtIn)).toEqual(sortedLines(inside));
    expect(inside).toHaveLength(2);
    for (const url of ['https://example.org/context', 'file:///etc/passwd', '__proto__'])
      await expect(
        readJsonLd(JSON.stringify({ '@context': url, ...document }), {
          contexts,
          baseIri: `${BASE}/`,
        }),
      ).rejects.toMatchObject({ code: expect.stringMatching(/^MDDS_/) as string });
    const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
    await expect(readJsonLd(deep)).rejects.toMatchObject({
      code: expect.stringMatching(/^MDDS_/) as string,
    });
  });
});

describe('canonical form (RDFC-1.0)', () => {
  it('does not depend on the order or the labels of a document', async () => {
    const one = ttl('@prefix : <https://x/> . :a :b [ :c "1" ], [ :c "2" ] . _:k :d :a .');
    const two = ttl(
      '@prefix : <https://x/> . _:other :d :a . :a :b _:q, _:p . _:p :c "1" . _:q :c "2" .',
    );
    expect(await canonicalHash(one)).toBe(await canonicalHash(two));
    const other = ttl('@prefix : <https://x/> . :a :b [ :c "1" ], [ :c "3" ] . _:k :d :a .');
    expect(await canonicalHash(other)).not.toBe(await canonicalHash(one));
  });

  it('writes texts with the escapes of the recommendation and sorts by code points', async () => {
    const lines = await canonicalLines(
      readRdf(
        '<x:a> <x:b> "\\u0007\\t\\"\\\\\\u007Fé" .\n<x:a> <x:b> "\uFFFD" .\n<x:a> <x:b> "\u{10000}" .',
        {
          format: 'n-triples',
        },
      ),
    );
    expect(lines).toEqual([
      String.raw`<x:a> <x:b> "\u0007\t\"\\\u007Fé" .`,
      '<x:a> <x:b> "\uFFFD" .',
      '<x:a> <x:b> "\u{10000}" .',
    ]);
  });

  it('gives up on graphs made to keep it busy', async () => {
    const nodes = Array.from({ length: 12 }, (_, i) => `n${i}`);
    const clique = nodes.flatMap((s) =>
      nodes.filter((o) => o !== s).map((o) => `_:${s} <x:p> _:${o} .`),
    );
    await expect(canonicalHash(ttl(clique.join('\n')))).rejects.toMatchObject({
      code: 'MDDS_TOO_COMPLEX',
    });
  });
});

describe('names for blank nodes', () => {
  it('leave none, are the same for the same document, and keep when something else changes', async () => {
    const text = file('examples/directory.ttl');
    const named = await skolemise(example(), BASE);
    expect(hasBlankNodes(named)).toBe(false);
    expect(sortedLines(await skolemise(example(), BASE))).toEqual(sortedLines(named));
    const edited = await skolemise(
      readRdf(text.replace('"Clinic claims 2026"@en', '"Claims of the clinic"@en'), {
        format: 'turtle',
      }),
      BASE,
    );
    const before = new Set(sortedLines(named));
    expect(sortedLines(edited).filter((line) => !before.has(line))).toHaveLength(1);
  });

  it('also go to nodes that refer to each other', async () => {
    const ring = ttl('_:a <x:next> _:b . _:b <x:next> _:c ; <x:name> "b" . _:c <x:next> _:a .');
    const named = await skolemise(ring, BASE);
    expect(named).toHaveLength(4);
    expect(hasBlankNodes(named)).toBe(false);
    const relabelled = ttl(
      '_:z <x:next> _:x . _:x <x:next> _:y ; <x:name> "b" . _:y <x:next> _:z .',
    );
    expect(sortedLines(await skolemise(relabelled, BASE))).toEqual(sortedLines(named));
  });
});

describe('shapes', () => {
  it('accept the documented directory', async () => {
    expect(await createShapeValidator(shapes()).validate(example())).toEqual({
      conforms: true,
      faults: [],
    });
  });

  it('name the node, the property and the rule that is broken', async () => {
    const broken = file('examples/directory.ttl').replace('mdds:cpuCores 16', 'mdds:cpuCores 0');
    const validator = createShapeValidator(shapes());
    const quads = readRdf(broken, { format: 'turtle' });
    const { conforms, faults } = await validator.validate(quads);
    expect(conforms).toBe(false);
    expect(faults[0]).toMatchObject({
      node: `<${BASE}/cmp/1>`,
      path: '<https://w3id.org/mdds/ns#cpuCores>',
      severity: 'Violation',
    });
    await expect(validator.demand(quads)).rejects.toMatchObject({ code: 'MDDS_SHAPE' });
  });
});

describe('the commitment to a complete directory', () => {
  const randomness = createSeededRandomness(7);
  const secret = randomness.bytes(SECRET_BYTES);
  const committed = async () => {
    const lines = await canonicalLines(await skolemise(example(), BASE));
    return { lines, directory: new CommittedDirectory(lines, secret) };
  };
  const isPublic = (line: string) => !line.includes('#ComputeResource') && !line.includes('/job/');

  it('lets exactly the public part be shown and proved', async () => {
    const { lines, directory } = await committed();
    const shown = decodeDisclosure(encodeDisclosure(directory.disclose(isPublic)));
    const disclosed = verifyDisclosure(shown, directory.commitment);
    expect(isPublicPart(disclosed, lines.filter(isPublic))).toBe(true);
    expect(isPublicPart(disclosed, lines)).toBe(false);
    expect(isPublicPart(disclosed.slice(1), lines.filter(isPublic))).toBe(false);
  });

  it('shows one statement and lets nobody guess another', async () => {
    const { lines, directory } = await committed();
    const one = directory.disclose((line) => line === lines[3]);
    expect(verifyDisclosure(one, directory.commitment)).toEqual([lines[3]]);
    const text = JSON.stringify(one);
    expect(text).not.toContain(lines[4]);
    const other = new CommittedDirectory(lines, randomness.bytes(SECRET_BYTES));
    expect(other.root).not.toBe(directory.root);
  });

  it('accepts no mutation of a disclosure', async () => {
    const { lines, directory } = await committed();
    const bytes = encodeDisclosure(directory.disclose((line) => line.length % 3 === 0));
    const known = new Set(lines);
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const mutant = bytes.slice();
        mutant[at] = (mutant[at] as number) ^ flip;
        try {
          const proved = verifyDisclosure(decodeDisclosure(mutant), directory.commitment);
          expect(proved.every((line) => known.has(line))).toBe(false);
        } catch (error) {
          expect(isSeeleError(error)).toBe(true);
        }
      }),
      { numRuns: 100 },
    );
  });

  it('is about its own directory only', async () => {
    const { directory } = await committed();
    const other = new CommittedDirectory(['<x:a> <x:b> <x:c> .'], secret);
    expect(() =>
      verifyDisclosure(
        other.disclose(() => true),
        directory.commitment,
      ),
    ).toThrow(expect.objectContaining({ code: 'MDDS_PROOF_INVALID' }));
  });
});

it('writes a statement as one line', () => {
  const [quad] = ttl('<https://a/> <https://b/> "text"@en .');
  expect(quad && quadLine(quad)).toBe('<https://a/> <https://b/> "text"@en .');
});
