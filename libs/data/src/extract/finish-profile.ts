/** The detectors look at what the extraction process saw, and coverage follows from what they find. */
import { findSemanticTypes } from '#libs/mdds';
import { mergeBoxes, mergeRanges, spatialOf, temporalOf } from './coverage.ts';
import type { RawSource, SourceProfile } from './source-profile.ts';

export function finishProfile({
  parts: given,
  temporal: told,
  spatial: seen,
  ...raw
}: RawSource): SourceProfile {
  const parts = given.map((part) => ({
    ...part,
    tables: part.tables.map((table) => ({
      ...table,
      columns: table.columns.map(({ samples, ...column }) => ({
        ...column,
        findings: findSemanticTypes({ name: column.name, values: samples }),
      })),
    })),
  }));
  const tables = parts.flatMap((part) => part.tables);
  const temporal = mergeRanges(told, temporalOf(tables));
  const spatial = mergeBoxes(seen, spatialOf(tables));
  return { ...raw, parts, ...(temporal && { temporal }), ...(spatial && { spatial }) };
}
