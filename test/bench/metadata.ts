/**
 * Figures of metadata directories: how many published directories one thread admits (shapes, canonical
 * form, hash), how large the proof that the public one is part of the complete one is beside the text
 * that it discloses, whether any altered disclosure is accepted, and how soon a change of a watched
 * file is a version on the chain.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createSeededRandomness, isSeeleError } from '#libs/kernel';
import {
  type DatasetDescription,
  type DescribedDataset,
  SECRET_BYTES,
  canonicalHash,
  createShapeValidator,
  decodeDisclosure,
  describeDataset,
  discloseShared,
  encodeDisclosure,
  readRdf,
  sortedLines,
  verifyDisclosure,
} from '#libs/mdds';
import { type Bench, cpuSeconds, significant } from './harness.ts';
import { benchSearch } from './metadata-search.ts';
import { measureWatch } from './metadata-watch.ts';

const DIRECTORIES = 200;
const SECONDS = 4;
const MUTATIONS = 1_000;
const COLUMNS = 12;
const SEARCHED_DATASETS = 40_000;
const FULL_DATASETS = 400_000;

function description(i: number): DatasetDescription {
  const uai = `chain://health.clinic/acc${i % 7}/ds/set-${i}`;
  const columns = Array.from({ length: COLUMNS }, (_, c) => ({
    name: `column_${c}`,
    datatype: c % 2 === 0 ? 'string' : 'integer',
    visibility: c % 3 === 0 ? ('private' as const) : ('public' as const),
    nullRatio: c / 100,
    distinct: 10 * c + i,
  }));
  return {
    uai,
    title: `Set ${i}`,
    description: `Rows of source ${i}, one for each event`,
    publisher: { iri: `chain://health.clinic/acc${i % 7}`, name: 'Clinic' },
    version: `1.${i}.0`,
    modified: '2026-07-01T08:00:00Z',
    keywords: ['claims', `k${i % 13}`],
    temporal: { start: '2026-01-01', end: '2026-06-30' },
    completeness: 0.99,
    offer: { price: '120.5', purpose: 'research' },
    distributions: [
      {
        ...{ id: 'csv', mediaType: 'text/csv', mechanism: 'ipfs', byteSize: 1_000 + i, columns },
        encryption: { keyWrap: 'x25519', chunkSizeBytes: 1_048_576 },
        directoryRootHash: i.toString(16).padStart(64, '0'),
      },
    ],
    publish: ['keywords', 'temporal', 'quality', 'byteSize'],
  };
}

/** The bench runs from its source or compiled, one folder deeper; the schemas lie at the root. */
function schemaFile(name: string): string {
  const beside = join(import.meta.dirname, '../../schemas', name);
  return existsSync(beside) ? beside : join(import.meta.dirname, '../../../schemas', name);
}

export const bench: Bench = async ({ full, seed, note }) => {
  const randomness = createSeededRandomness(seed);
  const described: DescribedDataset[] = [];
  for (let i = 0; i < DIRECTORIES; i++)
    described.push(await describeDataset(description(i), randomness.bytes(SECRET_BYTES)));

  const shapes = readFileSync(schemaFile('shapes.ttl'), 'utf8');
  const validator = createShapeValidator(readRdf(shapes, { format: 'turtle' }));
  note(`${DIRECTORIES} datasets described, ${described[0]?.public.length} public statements each`);

  const admit = async (i: number) => {
    const { public: graph } = described[i % DIRECTORIES] as DescribedDataset;
    const { conforms } = await validator.validate(graph);
    return conforms && (await canonicalHash(graph)).length === 64;
  };
  let conforming = 0;
  for (let i = 0; i < DIRECTORIES; i++) if (await admit(i)) conforming++;
  const began = performance.now();
  const cpuBegan = cpuSeconds();
  let admitted = 0;
  while (performance.now() - began < SECONDS * 1_000) if (await admit(admitted)) admitted++;
  const wall = (performance.now() - began) / 1_000;
  const cpu = cpuSeconds() - cpuBegan;
  note(`${admitted} admitted`);

  const [first] = described as [DescribedDataset];
  const disclosure = discloseShared(first);
  const bytes = encodeDisclosure(disclosure);
  const disclosedBytes = disclosure.entries.reduce((sum, { line }) => sum + line.length + 1, 0);
  const proofBytes = bytes.length - disclosedBytes;
  const known = new Set(sortedLines(first.complete));
  let mutationsAccepted = 0;
  for (let i = 0; i < MUTATIONS; i++) {
    const mutant = bytes.slice();
    const at = randomness.below(mutant.length);
    mutant[at] = (mutant[at] as number) ^ (1 + randomness.below(255));
    try {
      verifyDisclosure(decodeDisclosure(mutant), first.committed.commitment);
      mutationsAccepted++;
    } catch (error) {
      if (!isSeeleError(error)) throw error;
    }
  }
  if (!verifyDisclosure(disclosure, first.committed.commitment).every((line) => known.has(line)))
    throw new Error('a true disclosure did not verify');
  const watched = await measureWatch(
    full
      ? // More lanes than two processors serve make a change wait for the others.
        { changes: 1_000, kills: 20, lanes: 5, note }
      : { changes: 50, kills: 2, lanes: 1, note },
  );
  const search = benchSearch(randomness, {
    datasets: full ? FULL_DATASETS : SEARCHED_DATASETS,
    scanned: SEARCHED_DATASETS,
    note,
  });
  return {
    figures: {
      pipelinePerSecond: Math.round(admitted / wall),
      pipelinePerCpuSecond: Math.round(admitted / cpu),
      directoriesConforming: conforming,
      directoriesTried: DIRECTORIES,
      publicStatements: first.public.length,
      completeStatements: first.complete.length,
      proofShareOfDisclosed: significant(proofBytes / disclosedBytes, 3),
      mutationsTried: MUTATIONS,
      mutationsAccepted,
      ...search,
      ...watched,
    },
  };
};
