/** Facets are counted over the numbers that entries hold of their values; the last bits say the kind. */
import { FACETS, type Facet } from './search-query.ts';

export interface FacetCount {
  readonly value: string;
  readonly datasets: number;
}
export type FacetCounts = Readonly<Record<Facet, readonly FacetCount[]>>;

const KIND_BITS = 3;
const KIND_MASK = 2 ** KIND_BITS - 1;
const VALUES_SHOWN = 12;

/** The number of a value that comes after the last one given. */
export const facetIdAfter = (last: number, kindIndex: number): number =>
  (((last >>> KIND_BITS) + 1) << KIND_BITS) | kindIndex;

/**
 * The commonest values of each kind.
 *
 * @param blobs what entries hold
 * @param valueOf the value of a number
 */
export function countFacets(
  blobs: readonly Uint8Array[],
  valueOf: (id: number) => string,
): FacetCounts {
  const counts = new Map<number, number>();
  for (const blob of blobs)
    for (const id of new Uint32Array(blob.slice().buffer))
      counts.set(id, (counts.get(id) ?? 0) + 1);
  const byKind = FACETS.map((): [number, number][] => []);
  for (const each of counts) byKind[each[0] & KIND_MASK]?.push(each);
  const shown = (kind: Facet) =>
    (byKind[FACETS.indexOf(kind)] ?? [])
      .toSorted((a, b) => b[1] - a[1] || a[0] - b[0])
      .slice(0, VALUES_SHOWN)
      .map(([id, datasets]) => ({ value: valueOf(id), datasets }))
      .toSorted((a, b) => b.datasets - a.datasets || (a.value < b.value ? -1 : 1));
  return Object.fromEntries(FACETS.map((kind) => [kind, shown(kind)])) as {
    [K in Facet]: FacetCount[];
  };
}
