/**
 * What a catalogue knows of a dataset to find it by, read from its public directory: words, facets,
 * price, place and time. Nothing else of a document is ever searched.
 */
import type { Quad } from '@rdfjs/types';
import { GraphReader } from './graph-reader.ts';
import { type Prefix, iri } from './namespaces.ts';
import { readPublicDirectory } from './versions.ts';

export interface BoundingBox {
  /** Degrees, WGS 84. */
  readonly west: number;
  readonly south: number;
  readonly east: number;
  readonly north: number;
}

export interface CatalogueEntry {
  readonly uai: string;
  readonly title: string;
  readonly description: string;
  readonly version: string;
  /** ISO 8601. */
  readonly modified: string;
  readonly publisher: { readonly iri: string; readonly name?: string };
  readonly keywords: readonly string[];
  readonly themes: readonly { readonly iri: string; readonly label?: string }[];
  readonly columns: readonly { readonly name: string; readonly datatype?: string }[];
  readonly mediaTypes: readonly string[];
  /** Local names of MDDS: `Ipfs`, `OnChainMetadataOnly`, … */
  readonly mechanisms: readonly string[];
  /** What one use costs, as the offer writes it. */
  readonly price?: string;
  readonly purpose?: string;
  readonly uses?: number;
  readonly byteSize?: number;
  readonly rowCount?: number;
  /** Dates, ISO 8601. */
  readonly temporal?: { readonly start?: string; readonly end?: string };
  readonly spatial?: BoundingBox;
}

const MEDIA_TYPES = 'https://www.iana.org/assignments/media-types/';
type Term = `${Prefix}:${string}`;

/** Leaves out what is undefined. */
function present<T extends object>(fields: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const kept = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(kept) as { [K in keyof T]: Exclude<T[K], undefined> };
}

const unique = (texts: readonly string[]): readonly string[] => [...new Set(texts)].toSorted();

/** West, south, east and north of the corners that a WKT polygon or point lists. */
function boundsOf(wkt: string | undefined): BoundingBox | undefined {
  const corners = [...(wkt ?? '').matchAll(/(-?\d+(?:\.\d+)?) +(-?\d+(?:\.\d+)?)/g)];
  if (corners.length === 0) return undefined;
  const [lons, lats] = [1, 2].map((i) => corners.map((corner) => Number(corner[i]))) as [
    number[],
    number[],
  ];
  return {
    west: Math.min(...lons),
    south: Math.min(...lats),
    east: Math.max(...lons),
    north: Math.max(...lats),
  };
}

const isDate = (text: string | undefined): text is string =>
  text !== undefined && /^\d{4}-\d{2}-\d{2}/.test(text);

function coverageOf(graph: GraphReader, uai: string) {
  const [period] = graph.texts(uai, 'dct:temporal');
  const [place] = graph.texts(uai, 'dct:spatial');
  const [start, end] = (['dcat:startDate', 'dcat:endDate'] as const).map((property) => {
    const text = period === undefined ? undefined : graph.text(period, property);
    return isDate(text) ? text.slice(0, 10) : undefined;
  });
  const hasDates = start !== undefined || end !== undefined;
  return {
    temporal: hasDates ? present({ start, end }) : undefined,
    spatial: place === undefined ? undefined : boundsOf(graph.text(place, 'dcat:bbox')),
  };
}

function offerOf(graph: GraphReader, uai: string) {
  const [offer] = graph.texts(uai, 'odrl:hasPolicy');
  const permission = offer === undefined ? [] : graph.texts(offer, 'odrl:permission');
  const duties = permission.flatMap((node) => graph.texts(node, 'odrl:duty'));
  const bound = (nodes: readonly string[], left: Term): string | undefined =>
    nodes
      .flatMap((node) => graph.texts(node, 'odrl:constraint'))
      .filter((node) => graph.text(node, 'odrl:leftOperand') === iri(left))
      .map((node) => graph.text(node, 'odrl:rightOperand'))[0];
  const price = bound(duties, 'odrl:payAmount');
  const uses = Number(bound(permission, 'odrl:count') ?? Number.NaN);
  return {
    price: price !== undefined && /^\d{1,20}(\.\d{1,18})?$/.test(price) ? price : undefined,
    purpose: bound(permission, 'odrl:purpose'),
    uses: Number.isSafeInteger(uses) ? uses : undefined,
  };
}

function filesOf(graph: GraphReader, uai: string) {
  const files = graph.texts(uai, 'dcat:distribution');
  const sum = (property: Term): number | undefined => {
    const known = files.map((file) => Number(graph.text(file, property) ?? Number.NaN));
    const total = known.reduce((a, b) => a + b, 0);
    return files.length > 0 && Number.isSafeInteger(total) ? total : undefined;
  };
  const columns = files
    .flatMap((file) => graph.texts(file, 'csvw:tableSchema'))
    .flatMap((schema) => graph.texts(schema, 'csvw:column'))
    .flatMap((column) => {
      const name = graph.text(column, 'csvw:name');
      const datatype = graph.text(column, 'csvw:datatype');
      return name === undefined ? [] : [present({ name, datatype })];
    });
  const local = (text: string) => text.slice(text.lastIndexOf('#') + 1);
  return {
    columns: columns.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    mediaTypes: unique(
      files
        .flatMap((file) => graph.texts(file, 'dcat:mediaType'))
        .map((type) => type.replace(MEDIA_TYPES, '')),
    ),
    mechanisms: unique(
      files.flatMap((file) => graph.texts(file, 'mdds:storageMechanism')).map(local),
    ),
    byteSize: sum('dcat:byteSize'),
    rowCount: sum('mdds:rowCount'),
  };
}

/**
 * @param directory quads of one public directory that conforms to the shapes
 * @throws MDDS_SHAPE when it is none
 */
export function catalogueEntryOf(directory: readonly Quad[]): CatalogueEntry {
  const { uai, publicIri } = readPublicDirectory(directory);
  const graph = new GraphReader(directory);
  const publisher = graph.text(uai, 'dct:publisher') ?? '';
  const themes = unique(graph.texts(uai, 'dcat:theme'));
  return present({
    uai,
    title: graph.words(uai, 'dct:title') ?? uai,
    description: graph.words(uai, 'dct:description') ?? '',
    version: graph.text(uai, 'dcat:version') ?? '',
    modified: graph.text(publicIri, 'dct:modified') ?? '',
    publisher: present({ iri: publisher, name: graph.text(publisher, 'foaf:name') }),
    keywords: unique(graph.texts(uai, 'dcat:keyword')),
    themes: themes.map((theme) =>
      present({ iri: theme, label: graph.words(theme, 'skos:prefLabel') }),
    ),
    ...filesOf(graph, uai),
    ...offerOf(graph, uai),
    ...coverageOf(graph, uai),
  }) as CatalogueEntry;
}
