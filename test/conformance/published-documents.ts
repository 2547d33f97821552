/** Documents of each kind that this code publishes, for the shapes of others. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createSeededRandomness } from '#libs/kernel';
import {
  type DatasetDescription,
  PUBLIC_PARTS,
  type Quad,
  SECRET_BYTES,
  describeDataset,
  readRdf,
} from '#libs/mdds';

const uai = 'chain://health.clinic/acc1/ds/claims';

/** A dataset with all that a description can say. */
export const FULL_DESCRIPTION: DatasetDescription = {
  uai,
  title: { en: 'Clinic claims', de: 'Abrechnungen' },
  description: 'Daily claims, one row per visit',
  publisher: { iri: 'chain://health.clinic/acc1', name: 'Clinic' },
  version: '1.4.0',
  previousVersion: `${uai}/versions/1.3.0`,
  versionNotes: 'column icd10 added',
  modified: '2026-07-01T08:00:00Z',
  keywords: ['claims'],
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
      ...{ id: 'csv', mediaType: 'text/csv', mechanism: 'ipfs', byteSize: 734_003_200 },
      ...{ rowCount: 18_301, replicas: 3, sha256: 'ab'.repeat(32) },
      encryption: { keyWrap: 'cp-abe', chunkSizeBytes: 1_048_576, abePolicy: 'role = "auditor"' },
      directoryRootHash: 'cd'.repeat(32),
      columns: [
        {
          name: 'visit',
          datatype: 'integer',
          visibility: 'public',
          statistics: 'public',
          nullRatio: 0,
        },
        {
          name: 'patient',
          datatype: 'string',
          personalData: 'https://w3id.org/dpv/pd#Identifying',
        },
      ],
    },
  ],
  provenance: { used: 'chain://health.clinic/acc1/src/claims', endedAt: '2026-07-01T07:59:58Z' },
  rollout: [{ percent: 10, activationHeight: 120_400 }],
  fallback: `${uai}/directories/1.3.0/public`,
  publish: PUBLIC_PARTS,
};

export async function publishedDocuments(): Promise<ReadonlyMap<string, readonly Quad[]>> {
  const secret = createSeededRandomness(1).bytes(SECRET_BYTES);
  const [full, small] = [
    await describeDataset(FULL_DESCRIPTION, secret),
    await describeDataset({ ...FULL_DESCRIPTION, publish: [] }, secret),
  ];
  const example = readFileSync(join(process.cwd(), 'schemas/examples/directory.ttl'), 'utf8');
  return new Map([
    ['a directory that publishes all it may', full.public],
    ['a directory that publishes the least', small.public],
    ['schemas/examples/directory.ttl', readRdf(example, { format: 'turtle' })],
  ]);
}
