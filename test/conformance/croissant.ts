/**
 * Croissant documents (`metadata.json`): each is read as RDF, written with the built-in context and read
 * again with an equal hash; its keys in another order give the same hash; and the draft that is imported
 * from it names its files, and is the same after the way through a directory and out again.
 */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  CROISSANT_CONTEXTS,
  CROISSANT_CONTEXT_IRI,
  type DatasetDescription,
  canonicalHash,
  describeDataset,
  draftToDescription,
  exportCroissant,
  importCroissant,
  readJsonLd,
  writeJsonLd,
} from '#libs/mdds';
import { type Suite, runCase } from './suite.ts';

const baseIri = 'https://croissant.example/dataset/';
/** Fields without names of their own are compared by their neighbourhoods; these documents have many. */
const options = { comparisonsMax: 100_000 };
const UAI = 'chain://example.org/importer/ds/imported';

/** The same document with all keys of its objects backwards. */
function backwards(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(backwards);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toReversed()
      .map(([key, inner]) => [key, key === '@context' ? inner : backwards(inner)]),
  );
}

/** Columns that a description keeps private are not exported; here all are public. */
function allPublic(description: DatasetDescription): DatasetDescription {
  return {
    ...description,
    publish: ['keywords', 'temporal', 'byteSize', 'checksum'],
    distributions: description.distributions.map((distribution) => ({
      ...distribution,
      columns: (distribution.columns ?? []).map((column) => ({ ...column, visibility: 'public' })),
    })),
  };
}

async function check(path: string): Promise<string | undefined> {
  const text = readFileSync(path, 'utf8');
  const document = JSON.parse(text) as Record<string, unknown>;
  const contexts = CROISSANT_CONTEXTS;
  const quads = await readJsonLd(text, { baseIri, contexts });
  if (quads.length === 0) return 'there is no statement in it';
  const hash = await canonicalHash(quads, options);
  const written = await writeJsonLd(quads, CROISSANT_CONTEXT_IRI, contexts);
  const again = await readJsonLd(JSON.stringify(written), { baseIri, contexts });
  if ((await canonicalHash(again, options)) !== hash)
    return 'the hash changes on the way out and in';
  const turned = await readJsonLd(JSON.stringify(backwards(document)), { baseIri, contexts });
  if ((await canonicalHash(turned, options)) !== hash)
    return 'the hash depends on the order of keys';
  const draft = importCroissant(document);
  const described = await describeDataset(
    allPublic(
      draftToDescription(draft, {
        uai: UAI,
        publisher: { iri: 'chain://example.org/importer', name: draft.publisherName ?? 'importer' },
        modified: '2026-07-01T08:00:00Z',
        offer: { price: '0' },
      }),
    ),
    new Uint8Array(32),
  );
  const out = importCroissant(exportCroissant(described.public));
  const [before, after] = [draft, out].map((each) =>
    JSON.stringify([
      ...[each.title, each.description, each.keywords.toSorted(), each.temporal],
      each.distributions
        .map(({ columns = [], sha256 }) =>
          JSON.stringify([sha256, columns.map(({ name }) => name).toSorted()]),
        )
        .toSorted(),
    ]),
  );
  return before === after ? undefined : `the draft changes:\n${before}\n${after}`;
}

export const croissant: Suite = async (folder) => {
  const results = [];
  for (const name of globSync('**/metadata.json', { cwd: folder }).toSorted())
    results.push(await runCase(name, () => check(join(folder, name))));
  return results;
};
