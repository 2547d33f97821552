import { catalogueEntryOf } from './catalogue-entry.ts';
import { describeDataset } from './describe.ts';
import type { DatasetDescription } from './description.ts';

const secret = new Uint8Array(32).fill(7);
const description: DatasetDescription = {
  uai: 'chain://health.clinic/acc1/ds/claims',
  title: { en: 'Clinic claims', de: 'Abrechnungen' },
  description: 'Daily claims',
  publisher: { iri: 'chain://health.clinic/acc1', name: 'Clinic' },
  version: '1.4.0',
  modified: '2026-07-01T08:00:00Z',
  keywords: ['visits', 'claims'],
  themes: [{ iri: 'http://example.org/theme/health', label: 'Health' }],
  temporal: { start: '2026-01-01', end: '2026-06-30' },
  spatial: { west: 5.9, south: 47.2, east: 15.1, north: 55.1 },
  offer: { price: '120.50', purpose: 'research', uses: 5 },
  distributions: [
    {
      ...{ id: 'csv', mediaType: 'text/csv', mechanism: 'on-chain-metadata-only' },
      ...{ byteSize: 700, rowCount: 12 },
      columns: [
        { name: 'icd10', datatype: 'string', visibility: 'public' },
        { name: 'patient_id', datatype: 'string' },
      ],
    },
    { id: 'parquet', mediaType: 'application/vnd.apache.parquet', mechanism: 'local-file' },
  ],
  publish: ['keywords', 'themes', 'temporal', 'spatial', 'byteSize'],
};

describe('catalogueEntryOf', () => {
  it('finds words, facets, price, place and time of what is public', async () => {
    const described = await describeDataset(description, secret);
    expect(catalogueEntryOf(described.public)).toEqual({
      uai: description.uai,
      title: 'Clinic claims',
      description: 'Daily claims',
      version: '1.4.0',
      modified: '2026-07-01T08:00:00Z',
      publisher: description.publisher,
      keywords: ['claims', 'visits'],
      themes: description.themes,
      columns: [{ name: 'icd10', datatype: 'string' }],
      mediaTypes: ['application/vnd.apache.parquet', 'text/csv'],
      mechanisms: ['LocalFile', 'OnChainMetadataOnly'],
      price: '120.50',
      purpose: 'research',
      uses: 5,
      temporal: description.temporal,
      spatial: description.spatial,
    });
  });

  it('knows nothing of what is private', async () => {
    const { publish: _none, ...rest } = description;
    const described = await describeDataset(rest, secret);
    const text = JSON.stringify(catalogueEntryOf(described.public));
    for (const hidden of ['patient_id', 'visits', 'Health', '2026-06-30', '15.1', '700', '12}'])
      expect(text).not.toContain(hidden);
  });
});
