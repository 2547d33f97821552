/** From what extraction saw and what the owner says to the description of a dataset. */
import type {
  ColumnDescription,
  DatasetDescription,
  DistributionDescription,
  StorageMechanism,
} from '#libs/mdds';
import type { ColumnProfile, PartProfile, SourceProfile } from '../extract/source-profile.ts';
import type { DescribeFile } from './describe-file.ts';

export interface DatasetIdentity {
  readonly uai: string;
  /** IRI of the owner: the UAI up to the account. */
  readonly publisherIri: string;
  /** Last part of the UAI. */
  readonly name: string;
}

/** How the version's bytes lie; absent while only what is said is compared. */
export interface StoredAs {
  readonly mechanism: StorageMechanism;
  readonly encryption?: NonNullable<DistributionDescription['encryption']>;
  readonly directoryRootHash?: string;
  readonly rootCid?: string;
}

export interface DescribeInput {
  readonly identity: DatasetIdentity;
  readonly profile: SourceProfile;
  /** IRI of where it is read from; never public. */
  readonly source: string;
  readonly say: DescribeFile;
}

export interface VersionFacts {
  readonly version: string;
  readonly modified: string;
  readonly previousVersion?: string;
  readonly storedAs: StoredAs;
  readonly rollout?: DatasetDescription['rollout'];
  readonly fallback?: string;
  readonly endedAt?: string;
}

const isPersonal = ({ findings }: ColumnProfile) => findings.some((found) => found.isPersonal);

/** Columns of a part by the names they have in the directory. */
export function columnsOf(part: PartProfile): readonly (readonly [string, ColumnProfile])[] {
  return part.tables.flatMap((table) =>
    table.columns.map(
      (column) =>
        [part.tables.length > 1 ? `${table.name}.${column.name}` : column.name, column] as const,
    ),
  );
}

/** Columns that a detector keeps private, with what it saw. */
export function vetoesOf(profile: SourceProfile): ReadonlyMap<string, string> {
  return new Map(
    profile.parts
      .flatMap(columnsOf)
      .filter(([, column]) => isPersonal(column))
      .map(([name, { findings }]) => {
        const found = findings.find((each) => each.isPersonal);
        const how = found?.by === 'name' ? 'by its name' : 'by its values';
        return [name, `${found?.type} ${how}`] as const;
      }),
  );
}

function describeColumn(
  [name, profile]: readonly [string, ColumnProfile],
  say: DescribeFile,
): ColumnDescription {
  const said = say.columns?.[name] ?? {};
  const semanticType = said.semanticType ?? profile.findings[0]?.type;
  return {
    name,
    datatype: said.datatype ?? profile.datatype,
    visibility: said.visibility ?? 'private',
    statistics: said.statistics ?? 'private',
    nullRatio: profile.nullRatio,
    ...(semanticType !== undefined && { semanticType }),
    ...(said.personalData !== undefined && { personalData: said.personalData }),
    ...(profile.distinct !== undefined && { distinct: profile.distinct }),
    ...(profile.minimum !== undefined && { minimum: profile.minimum }),
    ...(profile.maximum !== undefined && { maximum: profile.maximum }),
  };
}

function describePart(
  part: PartProfile,
  { profile, source, say }: DescribeInput,
  storedAs: StoredAs,
): DistributionDescription {
  const rows = part.tables.reduce((sum, table) => sum + table.rows, 0);
  return {
    id: part.id,
    mediaType: part.mediaType,
    byteSize: part.sizeBytes,
    ...(part.tables.length > 0 && { rowCount: rows }),
    sha256: profile.contentHash,
    originalSource: source,
    columns: columnsOf(part).map((column) => describeColumn(column, say)),
    ...storedAs,
  };
}

/** Share of the cells that hold a value. */
function completenessOf(profile: SourceProfile): number | undefined {
  const columns = profile.parts.flatMap(columnsOf);
  if (columns.length === 0) return undefined;
  const missing = columns.reduce((sum, [, { nullRatio }]) => sum + nullRatio, 0) / columns.length;
  return Math.round((1 - missing) * 10_000) / 10_000;
}

export function describeSource(input: DescribeInput, facts: VersionFacts): DatasetDescription {
  const { identity, profile, source, say } = input;
  const completeness = completenessOf(profile);
  const temporal = say.temporal ?? profile.temporal;
  const spatial = say.spatial ?? profile.spatial;
  const { price = '0', ...terms } = say.offer ?? {};
  const defined = <T extends object>(given: T) =>
    Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as {
      [K in keyof T]: Exclude<T[K], undefined>;
    };
  return {
    uai: identity.uai,
    title: say.title ?? identity.name,
    description: say.description ?? `Dataset ${identity.name}`,
    publisher: { iri: identity.publisherIri, name: say.publisher?.name ?? 'Owner' },
    version: facts.version,
    modified: facts.modified,
    offer: { price, ...defined(terms) },
    distributions: profile.parts.map((part) => describePart(part, input, facts.storedAs)),
    publish: say.publish ?? [],
    vetoes: [...vetoesOf(profile).keys()],
    ...defined({
      ...{ keywords: say.keywords, themes: say.themes, completeness, rollout: facts.rollout },
      ...{ fallback: facts.fallback, previousVersion: facts.previousVersion },
    }),
    ...(say.contact && { contact: defined(say.contact) as { name: string; email?: string } }),
    ...(temporal && { temporal: defined(temporal) }),
    ...(spatial && { spatial }),
    ...(facts.endedAt !== undefined && { provenance: { used: source, endedAt: facts.endedAt } }),
  };
}
