import {
  type DatasetDescription,
  CROISSANT_CONTEXTS,
  canonicalHash,
  describeDataset,
  draftToDescription,
  exportCroissant,
  exportSchemaOrg,
  importCatalogueJson,
  importCroissant,
  readJsonLd,
} from './index.ts';

const secret = new Uint8Array(32);
const owner = {
  uai: 'chain://a.b/acc1/ds/visits',
  publisher: { iri: 'chain://a.b/acc1', name: 'Clinic' },
  modified: '2026-07-01T08:00:00Z',
  offer: { price: '1' },
};
const description: DatasetDescription = {
  ...owner,
  title: 'Visits',
  description: 'One row per visit',
  version: '2.0.0',
  keywords: ['visits', 'health'],
  temporal: { start: '2026-01-01', end: '2026-06-30' },
  distributions: [
    {
      ...{ id: 'csv', mediaType: 'text/csv', mechanism: 'local-file', byteSize: 1_200 },
      sha256: 'ab'.repeat(32),
      columns: [
        { name: 'day', datatype: 'date', visibility: 'public' },
        { name: 'cost per visit', datatype: 'decimal', visibility: 'public' },
        { name: 'patient', datatype: 'string' },
      ],
    },
  ],
  publish: ['keywords', 'temporal', 'byteSize', 'checksum'],
};
const published = async () => (await describeDataset(description, secret)).public;

describe('export', () => {
  it('to Croissant and back keeps what was public, and shows nothing else', async () => {
    const document = exportCroissant(await published());
    expect(JSON.stringify(document)).not.toContain('patient');
    expect(importCroissant(JSON.parse(JSON.stringify(document)))).toEqual({
      title: 'Visits',
      description: 'One row per visit',
      version: '2.0.0',
      keywords: ['visits', 'health'],
      license: `${owner.uai}/offer`,
      publisherName: 'Clinic',
      temporal: { start: '2026-01-01', end: '2026-06-30' },
      distributions: [
        {
          ...{ id: 'csv', mediaType: 'text/csv', byteSize: 1_200, sha256: 'ab'.repeat(32) },
          accessUrl: `${owner.uai}/access`,
          columns: [
            { name: 'day', datatype: 'date' },
            { name: 'cost per visit', datatype: 'decimal' },
          ],
        },
      ],
    });
  });

  it('to Croissant gives RDF that does not depend on the order of keys', async () => {
    const document = exportCroissant(await published()) as Record<string, unknown>;
    const turned = Object.fromEntries(Object.entries(document).toReversed());
    const baseIri = 'https://example.org/';
    const [one, two] = await Promise.all(
      [document, turned].map(async (each) =>
        canonicalHash(
          await readJsonLd(JSON.stringify(each), { baseIri, contexts: CROISSANT_CONTEXTS }),
        ),
      ),
    );
    expect(one).toBe(two);
  });

  it('to schema.org names files and public columns', async () => {
    expect(exportSchemaOrg(await published())).toMatchObject({
      '@context': 'https://schema.org/',
      '@type': 'Dataset',
      name: 'Visits',
      temporalCoverage: '2026-01-01/2026-06-30',
      distribution: [{ '@type': 'DataDownload', encodingFormat: 'text/csv' }],
      variableMeasured: [{ name: 'day' }, { name: 'cost per visit' }],
    });
  });
});

describe('import', () => {
  const expected = {
    title: 'Bees',
    description: 'Counts of bees',
    keywords: ['bees', 'hives'],
    publisherName: 'Ministry',
    temporal: { start: '2023-01-01' },
    distributions: [{ id: 'Counts-2023', mediaType: 'text/csv', byteSize: 12 }],
  };

  it('takes a CKAN package, as the API answers it', () => {
    const draft = importCatalogueJson({
      success: true,
      result: {
        ...{ name: 'bees', title: 'Bees', notes: 'Counts of bees' },
        tags: [{ name: 'bees' }, { name: 'hives' }],
        organization: { title: 'Ministry' },
        extras: [{ key: 'temporal_start', value: '2023-01-01' }],
        resources: [
          { name: 'Counts 2023', mimetype: 'text/csv', url: 'https://x.example/c', size: 12 },
        ],
      },
    });
    expect(draft).toMatchObject(expected);
  });

  it('takes a dataset of a DCAT catalogue in JSON', () => {
    const draft = importCatalogueJson({
      '@type': 'dcat:Dataset',
      ...{ 'dct:title': { en: 'Bees' }, 'dct:description': 'Counts of bees' },
      keyword: ['bees', 'hives'],
      publisher: { '@type': 'org:Organization', name: 'Ministry' },
      temporal: '2023-01-01/..',
      distribution: [
        {
          title: 'Counts 2023',
          mediaType: 'text/csv',
          downloadURL: 'https://x.example/c',
          byteSize: '12',
        },
      ],
    });
    expect(draft).toMatchObject(expected);
  });

  it.each([
    ['a list', []],
    ['nothing', null],
    ['no name', {}],
    ['a text', 'x'],
  ])('refuses %s', (_what, document) => {
    for (const take of [importCroissant, importCatalogueJson])
      expect(() => take(document)).toThrow(
        expect.objectContaining({ code: 'MDDS_SYNTAX' }) as Error,
      );
  });

  it('makes a draft a description that can be published; its columns are private', async () => {
    const draft = importCatalogueJson({
      name: 'x',
      tags: ['one', { name: 'one' }],
      resources: [
        { name: 'a', url: '../a file' },
        { name: 'a', format: 'CSV' },
      ],
    });
    expect(draft.keywords).toEqual(['one']);
    const { public: graph } = await describeDataset(draftToDescription(draft, owner), secret);
    expect(graph.filter(({ object }) => object.value.endsWith('#Distribution'))).toHaveLength(2);
  });
});
