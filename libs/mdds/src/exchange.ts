/**
 * To and from the formats of others: out to schema.org/Dataset and Croissant 1.0, in from Croissant,
 * CKAN packages and DCAT as JSON. What goes out is read from a public directory, so nothing private can.
 * What comes in is a draft: its owner, price and UAI are the importer's to say.
 */
import type { Quad } from '@rdfjs/types';
import { CROISSANT_CONTEXT, CROISSANT_VERSION } from './croissant-context.ts';
import type { ColumnDescription, DatasetDescription } from './description.ts';
import { mddsError } from './errors.ts';
import { GraphReader } from './graph-reader.ts';

export interface DraftDistribution {
  readonly id: string;
  readonly mediaType?: string;
  readonly accessUrl?: string;
  readonly byteSize?: number;
  readonly sha256?: string;
  readonly columns?: readonly Pick<ColumnDescription, 'name' | 'datatype'>[];
}

/** What a document of another format says about a dataset. */
export interface DatasetDraft {
  readonly title: string;
  readonly description: string;
  readonly version?: string;
  readonly keywords: readonly string[];
  readonly license?: string;
  readonly publisherName?: string;
  readonly temporal?: { readonly start?: string; readonly end?: string };
  readonly distributions: readonly DraftDistribution[];
}

const SCHEMA_TYPES: Readonly<Record<string, string>> = {
  string: 'sc:Text',
  integer: 'sc:Integer',
  decimal: 'sc:Float',
  boolean: 'sc:Boolean',
  date: 'sc:Date',
  dateTime: 'sc:DateTime',
};
const MEDIA_TYPES = 'https://www.iana.org/assignments/media-types/';

/** Leaves out what is undefined. */
const defined = (record: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined));

const lastPart = (text: string): string => text.slice(text.lastIndexOf('/') + 1);

/** @throws MDDS_SHAPE when there is not exactly one dataset */
function datasetIn(graph: GraphReader): string {
  const [dataset, ...others] = graph.instances('dcat:Dataset');
  if (dataset === undefined || others.length > 0)
    throw mddsError('MDDS_SHAPE', 'the document describes not exactly one dataset');
  return dataset;
}

function base(graph: GraphReader, dataset: string): Record<string, unknown> {
  const [period] = graph.texts(dataset, 'dct:temporal');
  const [publisher] = graph.texts(dataset, 'dct:publisher');
  const [start, end] = [
    period && graph.text(period, 'dcat:startDate'),
    period && graph.text(period, 'dcat:endDate'),
  ];
  const keywords = graph.texts(dataset, 'dcat:keyword');
  const name = publisher && graph.text(publisher, 'foaf:name');
  return defined({
    '@id': dataset,
    name: graph.words(dataset, 'dct:title'),
    description: graph.words(dataset, 'dct:description'),
    url: dataset,
    identifier: graph.text(dataset, 'dct:identifier'),
    version: graph.text(dataset, 'dcat:version'),
    keywords: keywords.length > 0 ? keywords : undefined,
    creator: name === undefined ? undefined : { '@type': 'Organization', name, url: publisher },
    temporalCoverage: period === undefined ? undefined : `${start ?? '..'}/${end ?? '..'}`,
    license: graph.text(dataset, 'odrl:hasPolicy'),
  });
}

function fileOf(graph: GraphReader, node: string): Record<string, unknown> {
  const [checksum] = graph.texts(node, 'spdx:checksum');
  const size = graph.text(node, 'dcat:byteSize');
  return defined({
    '@id': lastPart(node),
    name: lastPart(node),
    contentUrl: graph.text(node, 'dcat:accessURL'),
    contentSize: size === undefined ? undefined : `${size} B`,
    encodingFormat: graph.text(node, 'dcat:mediaType')?.replace(MEDIA_TYPES, ''),
    sha256: checksum && graph.text(checksum, 'spdx:checksumValue'),
  });
}

/** A public directory as schema.org/Dataset, for search engines. */
export function exportSchemaOrg(directory: readonly Quad[]): object {
  const graph = new GraphReader(directory);
  const dataset = datasetIn(graph);
  const columns = graph
    .instances('csvw:Column')
    .map((column) => ({ '@type': 'PropertyValue', name: graph.text(column, 'csvw:name') }));
  return defined({
    '@context': 'https://schema.org/',
    '@type': 'Dataset',
    ...base(graph, dataset),
    distribution: graph
      .texts(dataset, 'dcat:distribution')
      .map((node) => ({ '@type': 'DataDownload', ...fileOf(graph, node) })),
    variableMeasured: columns.length > 0 ? columns : undefined,
  });
}

/** A public directory as Croissant 1.0; columns become the fields of one record set per file. */
export function exportCroissant(directory: readonly Quad[]): object {
  const graph = new GraphReader(directory);
  const dataset = datasetIn(graph);
  const files = graph.texts(dataset, 'dcat:distribution');
  const recordSets = files.flatMap((file) => {
    const id = lastPart(file);
    const [schema] = graph.texts(file, 'csvw:tableSchema');
    const columns = schema === undefined ? [] : graph.texts(schema, 'csvw:column');
    if (columns.length === 0) return [];
    const field = columns.map((column) => {
      const name = graph.text(column, 'csvw:name') ?? '';
      return {
        '@type': 'cr:Field',
        '@id': `${id}-rows/${encodeURIComponent(name)}`,
        name,
        dataType: SCHEMA_TYPES[graph.text(column, 'csvw:datatype') ?? ''] ?? 'sc:Text',
        source: { fileObject: { '@id': id }, extract: { column: name } },
      };
    });
    return [{ '@type': 'cr:RecordSet', '@id': `${id}-rows`, name: `${id}-rows`, field }];
  });
  return defined({
    '@context': CROISSANT_CONTEXT,
    '@type': 'sc:Dataset',
    conformsTo: CROISSANT_VERSION,
    ...base(graph, dataset),
    distribution: files.map((file) => ({ '@type': 'cr:FileObject', ...fileOf(graph, file) })),
    recordSet: recordSets.length > 0 ? recordSets : undefined,
  });
}

type Json = Readonly<Record<string, unknown>>;
const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const listOf = (value: unknown): readonly unknown[] =>
  value === undefined || value === null ? [] : Array.isArray(value) ? value : [value];
const objectsOf = (value: unknown): readonly Json[] => listOf(value).filter(isObject);

/** A text, or the first of several; also out of `{ "@value": … }`, `{ "@id": … }` or a language map. */
function textOf(value: unknown): string | undefined {
  const [first] = listOf(value);
  if (typeof first === 'string') return first;
  if (typeof first === 'number') return String(first);
  if (!isObject(first)) return undefined;
  return textOf(first['@value'] ?? first['@id'] ?? first['en'] ?? first['name'] ?? first['url']);
}

/** Texts, or the names of objects, each once. */
const distinctTexts = (values: readonly unknown[]): readonly string[] =>
  [
    ...new Set(
      values
        .map((value) => (isObject(value) ? textOf(value['name'] ?? value) : textOf(value)))
        .filter((text) => text !== undefined && text !== ''),
    ),
  ] as readonly string[];

const idOf = (text: string | undefined, i: number): string =>
  (text ?? '')
    .replace(/[^A-Za-z0-9.-]+/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '')
    .slice(0, 60) || `file-${i + 1}`;

function sizeOf(value: unknown): number | undefined {
  const match = /^(\d+)(?:\s*B)?$/.exec(textOf(value)?.trim() ?? '');
  return match ? Number(match[1]) : undefined;
}

function periodOf(value: unknown): DatasetDraft['temporal'] {
  const [start, end] = (textOf(value) ?? '').split('/').map((each) => each.trim());
  const isDate = (text: string | undefined) => /^\d{4}-\d{2}-\d{2}$/.test(text ?? '');
  if (!isDate(start) && !isDate(end)) return undefined;
  return defined({ start: isDate(start) ? start : undefined, end: isDate(end) ? end : undefined });
}

function draft(fields: Readonly<Record<keyof DatasetDraft, unknown>>): DatasetDraft {
  if (fields.title === undefined) throw mddsError('MDDS_SYNTAX', 'the document names no dataset');
  return defined({
    ...fields,
    description: fields.description ?? fields.title,
  }) as unknown as DatasetDraft;
}

const hexOf = (value: unknown): string | undefined => {
  const text = textOf(value)?.toLowerCase();
  return text !== undefined && /^[0-9a-f]{64}$/.test(text) ? text : undefined;
};

function datatypeOf(value: unknown): string {
  const name = (textOf(value) ?? '').replace(/^(sc:|https?:\/\/schema\.org\/)/, 'sc:');
  return Object.entries(SCHEMA_TYPES).find(([, each]) => each === name)?.[0] ?? 'string';
}

/**
 * A Croissant 1.0 document as a draft. Fields go to the file that they are read from; those without one
 * to none.
 *
 * @throws MDDS_SYNTAX
 */
export function importCroissant(document: unknown): DatasetDraft {
  if (!isObject(document)) throw mddsError('MDDS_SYNTAX', 'the document is no JSON object');
  const fields = objectsOf(document['recordSet']).flatMap((set) => objectsOf(set['field']));
  const columnsOf = (file: string) => {
    const columns = new Map<string, string>();
    for (const { name, dataType, source } of fields) {
      const [from] = objectsOf(source);
      if (from === undefined || textOf(from['fileObject'] ?? from['fileSet']) !== file) continue;
      const [extract] = objectsOf(from['extract']);
      const column = textOf(extract?.['column']) ?? textOf(name);
      if (column !== undefined) columns.set(column, datatypeOf(dataType));
    }
    return [...columns].map(([name, datatype]) => ({ name, datatype }));
  };
  const distributions = objectsOf(document['distribution']).map((file, i) => {
    const id = textOf(file['@id'] ?? file['name']);
    const columns = id === undefined ? [] : columnsOf(id);
    return defined({
      id: idOf(id, i),
      mediaType: textOf(file['encodingFormat']),
      accessUrl: textOf(file['contentUrl']),
      byteSize: sizeOf(file['contentSize']),
      sha256: hexOf(file['sha256']),
      columns: columns.length > 0 ? columns : undefined,
    });
  });
  return draft({
    title: textOf(document['name']),
    description: textOf(document['description']),
    version: textOf(document['version']),
    keywords: distinctTexts(listOf(document['keywords'])),
    license: textOf(document['license']),
    publisherName: textOf(objectsOf(document['creator'] ?? document['publisher'])[0]?.['name']),
    temporal: periodOf(document['temporalCoverage']),
    distributions,
  });
}

/**
 * A CKAN package (as `package_show` answers, or its `result`) or one dataset of a DCAT catalogue in JSON
 * (`data.json` of US agencies, or JSON-LD with the usual short names) as a draft.
 *
 * @throws MDDS_SYNTAX
 */
export function importCatalogueJson(document: unknown): DatasetDraft {
  if (!isObject(document)) throw mddsError('MDDS_SYNTAX', 'the document is no JSON object');
  const found = isObject(document['result']) ? document['result'] : document;
  const get = (from: Json, ...names: readonly string[]): unknown =>
    names
      .flatMap((name) => [name, `dct:${name}`, `dcat:${name}`, `dcterms:${name}`])
      .map((name) => from[name])
      .find((value) => value !== undefined && value !== null && value !== '');
  const extras = new Map(
    objectsOf(found['extras']).map(({ key, value }) => [textOf(key), value] as const),
  );
  const files = objectsOf(get(found, 'resources', 'distribution'));
  const distributions = files.map((file, i) =>
    defined({
      id: idOf(textOf(get(file, 'name', 'title', 'identifier', 'id')), i),
      mediaType: textOf(get(file, 'mimetype', 'mediaType', 'format'))?.replace(MEDIA_TYPES, ''),
      accessUrl: textOf(get(file, 'url', 'downloadURL', 'accessURL')),
      byteSize: sizeOf(get(file, 'size', 'byteSize')),
      sha256: hexOf(
        file['hash'] ?? objectsOf(get(file, 'checksum', 'spdx:checksum'))[0]?.['checksumValue'],
      ),
    }),
  );
  const words = [...listOf(get(found, 'tags')), ...listOf(get(found, 'keyword', 'keywords'))];
  const organisation = objectsOf(get(found, 'organization', 'publisher'))[0];
  const temporal = objectsOf(get(found, 'temporal'))[0];
  const start = textOf(extras.get('temporal_start') ?? (temporal && get(temporal, 'startDate')));
  const end = textOf(extras.get('temporal_end') ?? (temporal && get(temporal, 'endDate')));
  return draft({
    title: textOf(get(found, 'title', 'name')),
    description: textOf(get(found, 'notes', 'description')),
    version: textOf(get(found, 'version')),
    keywords: distinctTexts(words),
    license: textOf(get(found, 'license_url', 'license', 'license_id')),
    publisherName: organisation && textOf(get(organisation, 'title', 'name', 'foaf:name')),
    temporal: periodOf(
      start !== undefined || end !== undefined
        ? `${start ?? ''}/${end ?? ''}`
        : get(found, 'temporal'),
    ),
    distributions,
  });
}

const ABSOLUTE_URL = /^[a-z][a-z0-9+.-]*:\/\/[^\s<>"{}|\\^`]{1,2000}$/i;

/** What an importer adds to a draft. */
export type DraftOwner = Pick<
  DatasetDescription,
  'uai' | 'publisher' | 'modified' | 'offer' | 'publish'
> & { readonly version?: string };

/** A description whose bytes stay with their owner; every column is private until said otherwise. */
export function draftToDescription(from: DatasetDraft, owner: DraftOwner): DatasetDescription {
  const { title, description, keywords, temporal, distributions } = from;
  const ids = new Set<string>();
  return {
    ...{ title, description, keywords, ...owner },
    version: owner.version ?? from.version ?? '1.0.0',
    ...(temporal && { temporal }),
    distributions: distributions.map(({ id, mediaType, accessUrl, ...rest }, i) => {
      const unique = ids.has(id) ? `${id.slice(0, 56)}-${i + 1}` : id;
      ids.add(unique);
      const isMediaType = /^[\w.+-]+\/[\w.+-]+$/.test(mediaType ?? '');
      return {
        ...rest,
        // Addresses inside the other catalogue mean nothing here.
        ...(ABSOLUTE_URL.test(accessUrl ?? '') && { accessUrl: accessUrl as string }),
        ...{ id: unique, mechanism: 'on-chain-metadata-only' },
        mediaType: isMediaType ? (mediaType as string) : 'application/octet-stream',
      } as const;
    }),
  };
}
