/** What would be said in public about a source, what stays private and why: for a person to judge. */
import type { PublicPart } from '#libs/mdds';
import { stringify } from 'yaml';
import type { SourceFault, SourceProfile } from '../extract/source-profile.ts';
import type { DescribeFile } from './describe-file.ts';
import { columnsOf, vetoesOf } from './describe-source.ts';

export interface ProposedColumn {
  readonly name: string;
  readonly datatype: string;
  readonly nullRatio: number;
  readonly distinct?: number;
  readonly minimum?: string;
  readonly maximum?: string;
  readonly semanticType?: string;
  readonly visibility: 'public' | 'private';
  readonly statistics: 'public' | 'private';
  /** Why it stays private although it was to be public, or could not be. */
  readonly veto?: string;
}

export interface Proposal {
  readonly files: number;
  readonly sizeBytes: number;
  readonly rows: number;
  readonly formats: readonly string[];
  readonly columns: readonly ProposedColumn[];
  /** Parts of the description that would be public beside those that always are. */
  readonly publicParts: readonly PublicPart[];
  readonly temporal?: { readonly start?: string; readonly end?: string };
  readonly spatial?: SourceProfile['spatial'];
  readonly faults: readonly SourceFault[];
  readonly facts: Readonly<Record<string, string>>;
  /** Columns that the description names and the source does not have. */
  readonly unknownColumns: readonly string[];
}

export function proposalOf(profile: SourceProfile, say: DescribeFile): Proposal {
  const vetoes = vetoesOf(profile);
  const all = profile.parts.flatMap(columnsOf);
  const names = new Set(all.map(([name]) => name));
  const columns = all.map(([name, column]): ProposedColumn => {
    const said = say.columns?.[name];
    const marked = said?.personalData === undefined ? undefined : 'marked as personal data';
    const veto = marked ?? vetoes.get(name);
    const isPublic = said?.visibility === 'public' && veto === undefined;
    const { findings, name: _name, isDistinctEstimate: _estimate, ...figures } = column;
    const semanticType = said?.semanticType ?? findings[0]?.type;
    return {
      ...figures,
      name,
      datatype: said?.datatype ?? column.datatype,
      visibility: isPublic ? 'public' : 'private',
      statistics: isPublic && said.statistics === 'public' ? 'public' : 'private',
      ...(semanticType !== undefined && { semanticType }),
      ...(veto !== undefined && { veto }),
    };
  });
  return {
    files: profile.files,
    sizeBytes: profile.sizeBytes,
    rows: profile.parts.flatMap(({ tables }) => tables).reduce((sum, { rows }) => sum + rows, 0),
    formats: profile.parts.map(({ format }) => format),
    columns,
    publicParts: say.publish ?? [],
    faults: profile.faults,
    facts: profile.facts,
    unknownColumns: Object.keys(say.columns ?? {}).filter((name) => !names.has(name)),
    ...(profile.temporal && { temporal: profile.temporal }),
    ...(profile.spatial && { spatial: profile.spatial }),
  };
}

/** A description file to begin with: everything private, columns that nothing forbids named. */
export function draftDescribeFile(name: string, proposal: Proposal): string {
  const open = proposal.columns.filter(({ veto }) => veto === undefined);
  const head = [
    '# What is said about the dataset. Everything is private that is not made public here.',
    '# Parts that may be listed under publish: keywords, themes, contact, temporal, spatial, quality,',
    '# versionNotes, byteSize, checksum, rowCount, replicas, provenance.',
    '# A column becomes public with visibility: public, its figures with statistics: public besides.',
  ];
  const vetoed = proposal.columns
    .filter(({ veto }) => veto !== undefined)
    .map((column) => `# stays private: ${column.name} (${column.veto})`);
  const text = stringify({
    title: name,
    description: `Dataset ${name}`,
    publisher: { name: 'Owner' },
    keywords: [],
    offer: { price: '0' },
    publish: [],
    columns: Object.fromEntries(
      open.map((column) => [
        column.name,
        { visibility: column.visibility, statistics: column.statistics },
      ]),
    ),
  });
  return `${[...head, ...vetoed].join('\n')}\n${text}`;
}
