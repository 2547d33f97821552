import { globSync, readFileSync } from 'node:fs';
import {
  BUILT_IN_CONTEXTS,
  MDDS_CONTEXT,
  MDDS_CONTEXT_IRI,
  PREFIXES,
  type Quad,
  canonicalHash,
  canonicalLines,
  createShapeValidator,
  iri,
  readJsonLd,
  readRdf,
  writeJsonLd,
} from './index.ts';

const schemas = new URL('../../../schemas/', import.meta.url);
const file = (name: string) => readFileSync(new URL(name, schemas), 'utf8');
const turtle = (name: string) => readRdf(file(name), { format: 'turtle' });
const examples = () => globSync('examples/*.ttl', { cwd: schemas }).toSorted();
const mddsTerms = (quads: readonly Quad[]) =>
  new Set(
    quads
      .flatMap(({ subject, predicate, object }) => [subject, predicate, object])
      .filter(({ termType, value }) => termType === 'NamedNode' && value.startsWith(PREFIXES.mdds))
      .map(({ value }) => value),
  );

describe('the vocabulary (schemas/mdds.ttl)', () => {
  const vocabulary = turtle('mdds.ttl');
  const about = (predicate: string) =>
    new Map(
      vocabulary
        .filter((quad) => quad.predicate.value === predicate)
        .map(({ subject, object }) => [subject.value, object.value]),
    );
  const types = about(iri('rdf:type'));

  it('declares every term of shapes, examples, context and code, with a label and a comment', () => {
    const used = new Set<string>();
    for (const name of ['shapes.ttl', 'mdds.ttl', ...examples()])
      for (const term of mddsTerms(turtle(name))) used.add(term);
    for (const text of globSync('*.ts', { cwd: import.meta.dirname })
      .filter((name) => !name.endsWith('.spec.ts'))
      .map((name) => readFileSync(new URL(name, import.meta.url), 'utf8'))
      .concat(file('context.jsonld')))
      for (const [, name] of text.matchAll(/\bmdds:([A-Za-z][A-Za-z0-9]*)/g))
        used.add(PREFIXES.mdds + (name as string));
    const [labels, comments] = [about(iri('rdfs:label')), about(iri('rdfs:comment'))];
    expect(used.size).toBeGreaterThan(100);
    expect([...used].filter((term) => !types.has(term))).toEqual([]);
    expect([...types.keys()].filter((term) => mddsTerms(vocabulary).has(term)).length).toBe(
      mddsTerms(vocabulary).size,
    );
    expect([...used].filter((term) => !labels.has(term) || !comments.has(term))).toEqual([]);
  });

  it('gives every property a range, and every domain and range is declared here or elsewhere', () => {
    const ranges = about(iri('rdfs:range'));
    const properties = [...types].filter(([, type]) => type === iri('rdf:Property'));
    expect(properties.filter(([name]) => !ranges.has(name))).toEqual([]);
    for (const target of [...ranges.values(), ...about(iri('rdfs:domain')).values()])
      expect(target.startsWith(PREFIXES.mdds) && !types.has(target)).toBe(false);
  });
});

describe('the context (schemas/context.jsonld)', () => {
  it('is the one that is built in', () => {
    expect(JSON.parse(file('context.jsonld'))).toEqual(MDDS_CONTEXT);
  });

  it.each(examples())('writes %s as JSON-LD and reads the same statements back', async (name) => {
    const quads = turtle(name);
    const written = await writeJsonLd(quads, MDDS_CONTEXT_IRI, BUILT_IN_CONTEXTS);
    const again = await readJsonLd(JSON.stringify(written), { contexts: BUILT_IN_CONTEXTS });
    expect(await canonicalLines(again)).toEqual(await canonicalLines(quads));
    expect(await canonicalHash(again)).toBe(await canonicalHash(quads));
  });
});

describe('the examples (schemas/examples)', () => {
  const validator = createShapeValidator(turtle('shapes.ttl'));

  it.each(examples())('%s conforms to the shapes', async (name) => {
    expect((await validator.validate(turtle(name))).faults).toEqual([]);
  });

  it('compute-resource.jsonld conforms to the shapes', async () => {
    const quads = await readJsonLd(file('examples/compute-resource.jsonld'), {
      contexts: BUILT_IN_CONTEXTS,
    });
    expect(quads).toHaveLength(16);
    expect((await validator.validate(quads)).faults).toEqual([]);
  });

  it.each([
    ['a percentage over 100', 'mdds:percent 10', 'mdds:percent 101'],
    [
      'a rollout to some readers without a fallback',
      '; mdds:fallback <dir/claims/1.3.0/public>',
      '',
    ],
    ['a hash of another length', '"a3f5c2d1', '"a3f5c2'],
    ['an attribute wrap without a policy', 'mdds:abePolicy', 'dct:description'],
    ['an offer without a permission', 'odrl:permission', 'odrl:prohibition'],
    ['a measurement without a value', 'dqv:value 0.993', 'dct:title "x"'],
    ['encrypted storage without a commitment', 'mdds:directoryRootHash', 'dct:description'],
    ['a receipt that ends before it starts', '09:03:44Z', '09:00:04Z'],
    [
      'more free bytes than there are',
      'mdds:freeBytes 7000000000000',
      'mdds:freeBytes 70000000000000',
    ],
  ])('the shapes refuse %s', async (_what, from, to) => {
    const text = file('examples/directory.ttl');
    expect(text).toContain(from);
    const quads = readRdf(text.replace(from, to), { format: 'turtle' });
    expect((await validator.validate(quads)).conforms).toBe(false);
  });

  it('the shapes refuse a public column that holds personal data', async () => {
    const text = file('examples/complete.ttl').replace('mdds:Private', 'mdds:Public');
    const quads = readRdf(text, { format: 'turtle' });
    expect((await validator.validate(quads)).conforms).toBe(false);
  });
});
