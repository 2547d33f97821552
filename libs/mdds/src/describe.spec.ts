import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { createSeededRandomness } from '#libs/kernel';
import {
  BUILT_IN_CONTEXTS,
  type ColumnDescription,
  type DatasetDescription,
  MDDS_CONTEXT_IRI,
  PUBLIC_PARTS,
  SECRET_BYTES,
  canonicalHash,
  createShapeValidator,
  describeDataset,
  diffDirectories,
  directoryFor,
  discloseShared,
  hasBlankNodes,
  hasSameContent,
  percentAt,
  readJsonLd,
  readPublicDirectory,
  readRdf,
  rolloutBucket,
  sortedLines,
  verifyPublicDirectory,
  writeJsonLd,
} from './index.ts';

const shapes = readRdf(
  readFileSync(new URL('../../../schemas/shapes.ttl', import.meta.url), 'utf8'),
  { format: 'turtle' },
);
const randomness = createSeededRandomness(11);
const secret = randomness.bytes(SECRET_BYTES);
const uai = 'chain://health.clinic/acc1/ds/claims';

const claims = (changes: Partial<DatasetDescription> = {}): DatasetDescription => ({
  uai,
  title: 'Clinic claims 2026',
  description: { en: 'Daily claims, one row per visit', de: 'Abrechnungen' },
  publisher: { iri: 'chain://health.clinic/acc1', name: 'Clinic' },
  version: '1.4.0',
  previousVersion: `${uai}/directories/1.3.0/public`,
  versionNotes: 'column icd10 added',
  modified: '2026-07-01T08:00:00Z',
  keywords: ['claims', 'health'],
  themes: [
    { iri: 'http://publications.europa.eu/resource/authority/data-theme/HEAL', label: 'Health' },
  ],
  contact: { name: 'Data office', email: 'data@clinic.example' },
  temporal: { start: '2026-01-01', end: '2026-06-30' },
  spatial: { west: 5.9, south: 45.8, east: 10.5, north: 47.8 },
  completeness: 0.993,
  offer: { price: '120.50', purpose: 'research', uses: 5 },
  distributions: [
    {
      id: 'csv',
      mediaType: 'text/csv',
      mechanism: 'ipfs',
      byteSize: 734_003_200,
      rowCount: 18_301,
      sha256: '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824',
      replicas: 3,
      encryption: { keyWrap: 'x25519', chunkSizeBytes: 1_048_576 },
      directoryRootHash: '9d5ed678fe57bcca610140957afab571ad2d0c8f3cf6a1b1c2d8c0e9d3f0a1b2',
      rootCid: 'bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi',
      originalSource: 'chain://health.clinic/acc1/src/pg/claims',
      columns: [
        {
          name: 'patient_id',
          datatype: 'string',
          visibility: 'public',
          distinct: 18_233,
          personalData: 'https://w3id.org/dpv/dpv-pd#Identifying',
        },
        {
          name: 'icd10',
          datatype: 'string',
          visibility: 'public',
          statistics: 'public',
          nullRatio: 0.007,
        },
        {
          name: 'amount',
          datatype: 'decimal',
          visibility: 'public',
          minimum: '3.10',
          maximum: '9120.00',
        },
        { name: 'note', datatype: 'string', nullRatio: 0.5 },
      ],
    },
  ],
  provenance: { used: 'chain://health.clinic/acc1/src/pg/claims', endedAt: '2026-07-01T07:59:58Z' },
  rollout: [{ percent: 10, activationHeight: 120_400 }],
  fallback: `${uai}/directories/1.3.0/public`,
  publish: ['keywords', 'themes', 'temporal', 'quality', 'byteSize'],
  ...changes,
});

describe('describing a dataset', () => {
  it('makes two directories without blank nodes, and the public one conforms', async () => {
    const described = await describeDataset(claims(), secret);
    expect(hasBlankNodes(described.complete) || hasBlankNodes(described.public)).toBe(false);
    const validator = createShapeValidator(shapes);
    expect((await validator.validate(described.public)).faults).toEqual([]);
    const records = readPublicDirectory(described.public).records;
    expect((await validator.validate([...described.complete, ...records])).faults).toEqual([]);
    const { canonicalHash: hash, commitment } = readPublicDirectory(described.public);
    expect(hash).toBe(await canonicalHash(described.complete));
    expect(commitment).toEqual(described.committed.commitment);
  });

  it('keeps private what is not on the list, what is personal, and what a detector vetoes', async () => {
    const { public: graph, vetoed } = await describeDataset(claims({ vetoes: ['amount'] }), secret);
    const text = sortedLines(graph).join('\n');
    for (const hidden of [
      ...['patient_id', 'amount', 'note', 'bafybei', 'src/pg', 'commitSalt', 'data@clinic'],
      ...['2cf24dba', '18301', 'POLYGON', 'column icd10', 'replicas', 'rowCount', '9120'],
    ])
      expect(text).not.toContain(hidden);
    for (const shown of ['icd10', 'nullRatio', '734003200', '"claims"@en', '0.993'])
      expect(text).toContain(shown);
    expect(vetoed).toEqual(['patient_id', 'amount']);
  });

  it('hides the figures of a public column unless they are public too', async () => {
    const text = sortedLines((await describeDataset(claims(), secret)).public).join('\n');
    expect(text).toContain('"amount"');
    expect(text).not.toContain('9120');
  });

  it('proves public ⊂ complete, and nothing else', async () => {
    const described = await describeDataset(claims(), secret);
    const disclosure = discloseShared(described);
    verifyPublicDirectory(described.public, disclosure);
    const invalid = expect.objectContaining({ code: 'MDDS_PROOF_INVALID' }) as Error;
    const changed = readRdf(
      sortedLines(described.public).join('\n').replace('Clinic claims', 'Other claims'),
      { format: 'n-quads' },
    );
    expect(() => verifyPublicDirectory(changed, disclosure)).toThrow(invalid);
    expect(() =>
      verifyPublicDirectory(
        described.public,
        described.committed.disclose(() => true),
      ),
    ).toThrow(invalid);
  });

  it('is the same for the same description and secret; another secret shows another hash', async () => {
    const [one, two, other] = [
      await describeDataset(claims(), secret),
      await describeDataset(claims(), secret),
      await describeDataset(claims(), randomness.bytes(SECRET_BYTES)),
    ];
    expect(sortedLines(two.public)).toEqual(sortedLines(one.public));
    expect(other.canonicalHash).not.toBe(one.canonicalHash);
    expect(diffDirectories(one.complete, other.complete)).toEqual({ added: [], removed: [] });
  });

  it('reads back from JSON-LD as the same statements', async () => {
    const { public: graph } = await describeDataset(claims(), secret);
    const written = await writeJsonLd(graph, MDDS_CONTEXT_IRI, BUILT_IN_CONTEXTS);
    const again = await readJsonLd(JSON.stringify(written), { contexts: BUILT_IN_CONTEXTS });
    expect(sortedLines(again)).toEqual(sortedLines(graph));
  });

  it.each([
    ['a dataset without an owner', { uai: 'chain://x/y' }],
    [
      'a rollout to some without a fallback',
      {
        rollout: [{ percent: 5, activationHeight: 1 }],
        previousVersion: undefined,
        fallback: undefined,
      },
    ],
    [
      'plain bytes on IPFS',
      { distributions: [{ id: 'a', mediaType: 'text/csv', mechanism: 'ipfs' }] },
    ],
    [
      'an id with a slash',
      { distributions: [{ id: '../a', mediaType: 'text/csv', mechanism: 'local-file' }] },
    ],
  ])('refuses %s', async (_what, changes) => {
    const wrong = { ...claims(), ...changes } as DatasetDescription;
    await expect(describeDataset(wrong, secret)).rejects.toMatchObject({
      code: 'MDDS_DESCRIPTION',
    });
  });

  it.each([
    ['an address that is no IRI', { accessUrl: 'not an iri' }, 'MDDS_SYNTAX'],
    [
      'a column without a name',
      { columns: [{ name: '', datatype: 'string' }] },
      'MDDS_DESCRIPTION',
    ],
    [
      'half a surrogate pair',
      { columns: [{ name: '\ud800', datatype: 'string' }] },
      'MDDS_DESCRIPTION',
    ],
  ])('refuses a distribution with %s', async (_what, changes, code) => {
    const [base] = claims().distributions;
    const distributions = [{ ...base, ...changes }] as DatasetDescription['distributions'];
    await expect(describeDataset(claims({ distributions }), secret)).rejects.toMatchObject({
      code,
    });
  });

  it('lets nothing private into the public graph: private values do not change a public statement', async () => {
    const column = fc.record({
      name: fc.stringMatching(/^[a-z_]{1,8}$/),
      datatype: fc.constantFrom('string', 'integer'),
      visibility: fc.constantFrom('public' as const, 'private' as const),
      statistics: fc.constantFrom('public' as const, 'private' as const),
      isPersonal: fc.boolean(),
      nullRatio: fc.constantFrom(0, 0.25, 1),
    });
    const arbitrary = fc.record({
      columns: fc.uniqueArray(column, { selector: ({ name }) => name, maxLength: 6 }),
      publish: fc.subarray([...PUBLIC_PARTS]),
    });
    await fc.assert(
      fc.asyncProperty(arbitrary, async ({ columns, publish }) => {
        const withMark = (mark: string, number: number) => {
          const isHidden = (part: (typeof PUBLIC_PARTS)[number]) => !publish.includes(part);
          const told = (part: (typeof PUBLIC_PARTS)[number]) => (isHidden(part) ? mark : 'open');
          const [base] = claims().distributions;
          const hiding = columns.map(({ isPersonal, ...each }): ColumnDescription => {
            const hidden = each.visibility === 'private' || isPersonal;
            const figures = hidden || each.statistics === 'private';
            return {
              ...each,
              ...(hidden && { semanticType: mark, datatype: mark, name: `${each.name}${mark}` }),
              ...(figures && {
                distinct: number,
                minimum: mark,
                maximum: mark,
                nullRatio: number / 100,
              }),
              ...(isPersonal && { personalData: `https://w3id.org/dpv#${mark}` }),
            };
          });
          return claims({
            publish,
            keywords: [told('keywords')],
            themes: [{ iri: `https://themes.example/${told('themes')}`, label: told('themes') }],
            contact: { name: told('contact') },
            versionNotes: told('versionNotes'),
            completeness: isHidden('quality') ? number / 100 : 1,
            provenance: {
              used: `chain://a/b/${told('provenance')}`,
              endedAt: '2026-07-01T07:59:58Z',
            },
            distributions: [
              {
                ...(base as NonNullable<typeof base>),
                rootCid: mark,
                originalSource: `chain://a/b/${mark}`,
                byteSize: isHidden('byteSize') ? number : 1,
                rowCount: isHidden('rowCount') ? number : 1,
                replicas: isHidden('replicas') ? number : 1,
                columns: hiding,
              },
            ],
          });
        };
        const [one, two] = await Promise.all([
          describeDataset(withMark('hiddenone', 11), secret),
          describeDataset(withMark('hiddentwo', 12), secret),
        ]);
        const linesOf = ({ shared }: typeof one) => sortedLines(shared);
        expect(linesOf(one)).toEqual(linesOf(two));
        const publicLines = sortedLines(one.public).join('\n');
        expect(publicLines).not.toContain('hiddenone');
        const complete = new Set(sortedLines(one.complete));
        expect(linesOf(one).every((line) => complete.has(line))).toBe(true);
        const privateLines = new Set([...complete].filter((line) => !linesOf(one).includes(line)));
        expect(sortedLines(one.public).filter((line) => privateLines.has(line))).toEqual([]);
      }),
      { numRuns: 30 },
    );
  });
});

describe('versions', () => {
  it('differ by canonical statements', async () => {
    const before = (await describeDataset(claims(), secret)).complete;
    const after = (await describeDataset(claims({ title: 'Claims' }), secret)).complete;
    const { added, removed } = diffDirectories(before, after);
    expect(added).toEqual([`<${uai}> <http://purl.org/dc/terms/title> "Claims"@en .`]);
    expect(removed).toHaveLength(1);
    expect(hasSameContent(before, after)).toBe(false);
  });

  it('are not made when only the version itself is new', async () => {
    const before = (await describeDataset(claims(), secret)).complete;
    const next = claims({
      ...{ version: '1.5.0', versionNotes: 'nothing', modified: '2026-08-01T08:00:00Z' },
      provenance: {
        used: 'chain://health.clinic/acc1/src/pg/claims',
        endedAt: '2026-08-01T07:00:00Z',
      },
    });
    const after = (await describeDataset(next, randomness.bytes(SECRET_BYTES))).complete;
    expect(hasSameContent(before, after)).toBe(true);
    expect(diffDirectories(before, after).added).not.toEqual([]);
  });
});

describe('rollout', () => {
  const steps = [
    { percent: 10, activationHeight: 100 },
    { percent: 50, activationHeight: 200 },
    { percent: 0, activationHeight: 300 },
  ];
  const rollout = { directory: 'new', fallback: 'old', steps };
  const readers = Array.from({ length: 2_000 }, (_, i) => ({ id: `reader-${i}`, uai }));
  const taking = (height: number) =>
    new Set(readers.filter((reader) => directoryFor(rollout, reader, height) === 'new'));

  it('follows the percentage of the height, keeps its readers, and rolls back', () => {
    expect(percentAt(steps, 99)).toBe(0);
    expect(taking(99).size).toBe(0);
    const [ten, fifty] = [taking(150), taking(250)];
    expect(ten.size).toBeGreaterThan(140);
    expect(ten.size).toBeLessThan(260);
    expect(fifty.size).toBeGreaterThan(900);
    expect(fifty.size).toBeLessThan(1_100);
    expect([...ten].every((reader) => fifty.has(reader))).toBe(true);
    expect(taking(300).size).toBe(0);
    expect(directoryFor(rollout, { id: 'x', uai }, 300)).toBe('old');
    expect(directoryFor({ directory: 'new', steps: [] }, { id: 'x', uai }, 0)).toBe('new');
  });

  it('is drawn anew for every dataset, and is a fixed value', () => {
    expect(rolloutBucket('reader-1', uai)).toBe(rolloutBucket('reader-1', uai));
    const moved = readers.filter(
      ({ id }) => rolloutBucket(id, uai) !== rolloutBucket(id, `${uai}2`),
    );
    expect(moved.length).toBeGreaterThan(1_900);
  });

  it('is read from the public directory', async () => {
    const { public: graph, publicIri } = await describeDataset(claims(), secret);
    expect(readPublicDirectory(graph).rollout).toEqual({
      directory: publicIri,
      steps: [{ percent: 10, activationHeight: 120_400 }],
      fallback: `${uai}/directories/1.3.0/public`,
    });
  });
});
