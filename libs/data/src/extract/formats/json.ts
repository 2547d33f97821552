/** JSON, JSON lines and GeoJSON (RFC 7946): a row for each record. */
import { dataError } from '../../errors.ts';
import { TableProfiler } from '../../profile/table-profiler.ts';
import { boxOf } from '../coverage.ts';
import type { BoundingBox, FaultList } from '../source-profile.ts';
import { JsonSplitter } from './json-elements.ts';

export interface JsonProfile {
  readonly table: TableProfiler;
  readonly spatial?: BoundingBox;
  readonly isGeoJson: boolean;
}

const LINE_CHARS_MAX = 16 * 1024 * 1024;
const COORDINATES_DEPTH_MAX = 8;

/** Grows with every position; crossing the antimeridian is not looked for. */
class BoxCollector {
  #west = Infinity;
  #south = Infinity;
  #east = -Infinity;
  #north = -Infinity;

  add(coordinates: unknown, depth = 0): void {
    if (!Array.isArray(coordinates) || depth > COORDINATES_DEPTH_MAX) return;
    const [lon, lat] = coordinates as unknown[];
    if (typeof lon === 'number' && typeof lat === 'number') {
      this.#west = Math.min(this.#west, lon);
      this.#east = Math.max(this.#east, lon);
      this.#south = Math.min(this.#south, lat);
      this.#north = Math.max(this.#north, lat);
      return;
    }
    for (const part of coordinates) this.add(part, depth + 1);
  }

  get box(): BoundingBox | undefined {
    return boxOf(this.#west, this.#south, this.#east, this.#north);
  }
}

interface Geometry {
  readonly type?: unknown;
  readonly coordinates?: unknown;
  readonly geometries?: unknown;
}

class RecordReader {
  readonly table = new TableProfiler('');
  readonly #boxes = new BoxCollector();
  readonly #onRecord: ((record: object) => void) | undefined;
  isGeoJson = false;

  constructor(onRecord?: (record: object) => void) {
    this.#onRecord = onRecord;
  }

  add(value: unknown): void {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      const row = Array.isArray(value)
        ? Object.fromEntries(value.slice(0, 1_000).map((cell, i) => [`column_${i + 1}`, cell]))
        : { value };
      return this.#row(row);
    }
    const { type, properties, geometry } = value as Record<string, unknown>;
    if (type === 'FeatureCollection') {
      this.isGeoJson = true;
      return;
    }
    if (type !== 'Feature' || typeof geometry !== 'object') return this.#row(value);
    this.isGeoJson = true;
    this.#geometry((geometry ?? {}) as Geometry);
    this.#row({
      ...(typeof properties === 'object' ? properties : {}),
      geometry: (geometry as Geometry | null)?.type,
    });
  }

  #row(record: object): void {
    this.table.addObject(record);
    this.#onRecord?.(record);
  }

  #geometry({ coordinates, geometries }: Geometry): void {
    this.#boxes.add(coordinates);
    if (Array.isArray(geometries))
      for (const each of geometries) this.#boxes.add((each as Geometry | null)?.coordinates);
  }

  get profile(): JsonProfile {
    const { box } = this.#boxes;
    const { table, isGeoJson } = this;
    return { table, isGeoJson, ...(box && { spatial: box }) };
  }
}

/** @throws DATA_BROKEN, DATA_LIMIT */
export async function profileJson(
  chunks: AsyncIterable<string>,
  onRecord?: (record: object) => void,
): Promise<JsonProfile> {
  const reader = new RecordReader(onRecord);
  let records = 0;
  const splitter = new JsonSplitter((text) => {
    try {
      const value: unknown = JSON.parse(text);
      // What surrounded the records of an object comes last, and is none.
      const isShell = records > 0 && isEnvelope(value);
      if (isShell) reader.isGeoJson ||= (value as { type?: unknown }).type === 'FeatureCollection';
      else reader.add(value);
    } catch (cause) {
      if (!(cause instanceof SyntaxError)) throw cause;
      throw dataError('DATA_BROKEN', `record ${records + 1} is not JSON: ${cause.message}`, {
        cause,
      });
    }
    records++;
  });
  for await (const chunk of chunks) splitter.push(chunk);
  splitter.end();
  return reader.profile;
}

const isEnvelope = (value: unknown): boolean =>
  typeof value === 'object' &&
  value !== null &&
  ['features', 'data', 'records', 'rows', 'items', 'results', 'value'].some((name) => {
    const member: unknown = (value as Record<string, unknown>)[name];
    return Array.isArray(member) && member.length === 0;
  });

/** A record on each line; lines that are none are counted and left out. */
export async function profileJsonLines(
  chunks: AsyncIterable<string>,
  faults: FaultList,
  onRecord?: (record: object) => void,
): Promise<JsonProfile> {
  const reader = new RecordReader(onRecord);
  let rest = '';
  let line = 0;
  const add = (text: string): void => {
    line++;
    const tidy = text.replace(/^\uFEFF/, '').trim();
    if (tidy === '') return;
    try {
      reader.add(JSON.parse(tidy));
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      faults.add('not-json', line);
    }
  };
  for await (const chunk of chunks) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > LINE_CHARS_MAX)
      throw dataError('DATA_LIMIT', `line ${line + 1} is longer than ${LINE_CHARS_MAX} characters`);
    for (const each of lines) add(each);
  }
  add(rest);
  return reader.profile;
}
