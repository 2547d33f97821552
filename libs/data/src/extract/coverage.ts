/** Which time and which part of the earth tables cover, as far as their columns say. */
import type { BoundingBox, ColumnProfile, TableProfile } from './source-profile.ts';

const isPersonal = ({ findings }: ColumnProfile) => findings.some((found) => found.isPersonal);

/** The day of an ISO 8601 text as it is written. */
const dayOf = (text: string): string => text.slice(0, 10);

export interface DayRange {
  readonly start: string;
  readonly end: string;
}

export const mergeRanges = (
  a: DayRange | undefined,
  b: DayRange | undefined,
): DayRange | undefined =>
  a === undefined || b === undefined
    ? (a ?? b)
    : { start: a.start < b.start ? a.start : b.start, end: a.end > b.end ? a.end : b.end };

/** From the first to the last day of all columns of times; dates of birth say nothing about the data. */
export function temporalOf(
  tables: readonly TableProfile[],
): { readonly start: string; readonly end: string } | undefined {
  const columns = tables
    .flatMap(({ columns: all }) => all)
    .filter((column) => /^date(?:Time)?$/.test(column.datatype) && !isPersonal(column));
  const starts = columns.flatMap(({ minimum }) => (minimum === undefined ? [] : [dayOf(minimum)]));
  const ends = columns.flatMap(({ maximum }) => (maximum === undefined ? [] : [dayOf(maximum)]));
  const start = starts.toSorted()[0];
  const end = ends.toSorted().at(-1);
  return start === undefined || end === undefined ? undefined : { start, end };
}

export function mergeBoxes(
  a: BoundingBox | undefined,
  b: BoundingBox | undefined,
): BoundingBox | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return {
    west: Math.min(a.west, b.west),
    south: Math.min(a.south, b.south),
    east: Math.max(a.east, b.east),
    north: Math.max(a.north, b.north),
  };
}

/** The box, if it lies on the earth (WGS 84 degrees). */
export function boxOf(
  west: number,
  south: number,
  east: number,
  north: number,
): BoundingBox | undefined {
  const valid = west >= -180 && east <= 180 && south >= -90 && north <= 90;
  return valid && west <= east && south <= north ? { west, south, east, north } : undefined;
}

function axisOf(table: TableProfile, type: 'latitude' | 'longitude'): ColumnProfile | undefined {
  return table.columns.find(
    ({ datatype, findings }) =>
      /^(?:integer|decimal)$/.test(datatype) && findings.some((found) => found.type === type),
  );
}

/** The box of all tables that have a column of latitudes and one of longitudes. */
export function spatialOf(tables: readonly TableProfile[]): BoundingBox | undefined {
  return tables
    .map((table) => {
      const [lat, lon] = [axisOf(table, 'latitude'), axisOf(table, 'longitude')];
      if (lat === undefined || lon === undefined) return undefined;
      const [west, south, east, north] = [lon.minimum, lat.minimum, lon.maximum, lat.maximum].map(
        Number,
      ) as [number, number, number, number];
      return boxOf(west, south, east, north);
    })
    .reduce(mergeBoxes, undefined);
}
