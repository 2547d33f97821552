/**
 * The catalogue as DCAT, in pages that a harvester follows (Hydra paging, as CKAN's harvester reads it):
 * each page is one document with the catalogue, its datasets' public directories, and the next page.
 */
import { DataFactory } from 'n3';
import { type Quad, iri, writeRdf } from '#libs/mdds';

export interface FeedPage {
  readonly turtle: string;
  /** Where the next page begins; undefined on the last. */
  readonly nextAfterId?: number;
}

export interface FeedFrame {
  /** URL of the feed, without parameters. */
  readonly base: string;
  readonly title: string;
  /** Datasets in the whole catalogue. */
  readonly total: number;
  readonly afterId: number;
}

/** Most datasets of a page; a harvester holds one page at a time. */
export const FEED_PAGE_DATASETS = 100;

const HYDRA = 'http://www.w3.org/ns/hydra/core#';
const { literal, namedNode, quad } = DataFactory;
const integer = (value: number) => literal(String(value), namedNode(iri('xsd:integer')));

export function feedPageOf(
  page: readonly { readonly id: number; readonly quads: readonly Quad[] }[],
  { base, title, total, afterId }: FeedFrame,
): FeedPage {
  const type = namedNode(iri('rdf:type'));
  const catalogue = namedNode(base);
  const here = namedNode(afterId === 0 ? base : `${base}?after=${afterId}`);
  const view = namedNode(`${here.value}#page`);
  const statements: Quad[] = [
    quad(catalogue, type, namedNode(iri('dcat:Catalog'))),
    quad(catalogue, namedNode(iri('dct:title')), literal(title, 'en')),
    quad(catalogue, namedNode(iri('dct:description')), literal(`Datasets of ${title}`, 'en')),
    quad(view, type, namedNode(`${HYDRA}PagedCollection`)),
    quad(view, namedNode(`${HYDRA}totalItems`), integer(total)),
    quad(view, namedNode(`${HYDRA}itemsPerPage`), integer(FEED_PAGE_DATASETS)),
    quad(view, namedNode(`${HYDRA}firstPage`), namedNode(base)),
  ];
  for (const { quads } of page)
    for (const each of quads) {
      if (each.predicate.value === iri('rdf:type') && each.object.value === iri('dcat:Dataset'))
        statements.push(quad(catalogue, namedNode(iri('dcat:dataset')), each.subject as never));
      statements.push(each);
    }
  // A page may have been cut short by its size: only an empty one is surely the last.
  const last = page.at(-1)?.id;
  if (last !== undefined)
    statements.push(quad(view, namedNode(`${HYDRA}nextPage`), namedNode(`${base}?after=${last}`)));
  return {
    turtle: writeRdf(statements, 'turtle'),
    ...(last !== undefined && { nextAfterId: last }),
  };
}
