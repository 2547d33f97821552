/**
 * Versions of a directory: what changed, which readers take the new one, and whether a public
 * directory is what it says: a part of the complete one.
 */
import type { Quad } from '@rdfjs/types';
import { hashOf } from '#libs/crypto';
import { utf8 } from '#libs/kernel';
import { type Disclosure, type DirectoryCommitment, verifyDisclosure } from './commitment.ts';
import type { RolloutStep } from './description.ts';
import { MDDS_PROFILE } from './describe.ts';
import { mddsError } from './errors.ts';
import { iri } from './namespaces.ts';
import { quadLine, sortedLines } from './quads.ts';

export interface DirectoryDiff {
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

const SALT = iri('mdds:commitSalt');
/** What is new in every version, whatever the data did. */
const OF_THE_VERSION: ReadonlySet<string> = new Set([
  ...[SALT, iri('dcat:version'), iri('dcat:previousVersion'), iri('adms:versionNotes')],
  ...[iri('prov:wasGeneratedBy')],
]);

const withoutSalt = (quads: readonly Quad[]) =>
  new Set(sortedLines(quads.filter(({ predicate }) => predicate.value !== SALT)));

/** What two skolemised directories say differently, as canonical lines; their salts aside. */
export function diffDirectories(before: readonly Quad[], after: readonly Quad[]): DirectoryDiff {
  const [old, young] = [withoutSalt(before), withoutSalt(after)];
  return {
    added: [...young].filter((line) => !old.has(line)),
    removed: [...old].filter((line) => !young.has(line)),
  };
}

function content(quads: readonly Quad[]): readonly Quad[] {
  const activities = new Set(
    quads
      .filter(({ predicate }) => predicate.value === iri('prov:wasGeneratedBy'))
      .map(({ object }) => object.value),
  );
  return quads.filter(
    ({ subject, predicate }) =>
      !OF_THE_VERSION.has(predicate.value) && !activities.has(subject.value),
  );
}

/** True when a new version would say nothing new about the data: then there is no new version. */
export function hasSameContent(before: readonly Quad[], after: readonly Quad[]): boolean {
  const { added, removed } = diffDirectories(content(before), content(after));
  return added.length === 0 && removed.length === 0;
}

const ROLLOUT_DOMAIN = 'seele/mdds-rollout/1';

/** 0 to 99, the same for a reader and a dataset for ever. */
export function rolloutBucket(readerId: string, uai: string): number {
  // 48 of 256 bits: exact as a number, and their remainder by 100 is even to 1 in 10^12.
  return (
    Number.parseInt(hashOf(ROLLOUT_DOMAIN, utf8(`${readerId}\n${uai}`)).slice(0, 12), 16) % 100
  );
}

/** The step with the highest activation that is reached counts; before the first, nobody. */
export function percentAt(steps: readonly RolloutStep[], height: number): number {
  let current: RolloutStep | undefined;
  for (const step of steps)
    if (
      step.activationHeight <= height &&
      (current === undefined || step.activationHeight > current.activationHeight)
    )
      current = step;
  return current?.percent ?? 0;
}

export interface DirectoryRollout {
  /** IRI of the new public directory. */
  readonly directory: string;
  readonly steps: readonly RolloutStep[];
  /** IRI of the public directory of the others. */
  readonly fallback?: string;
}

/**
 * The directory that a reader takes at a height. A share that grows keeps its readers; one that is
 * lowered to 0 sends all to the fallback. A directory without steps is for all readers.
 *
 * @returns undefined when the new one is not for this reader and there is no other
 */
export function directoryFor(
  { directory, steps, fallback }: DirectoryRollout,
  reader: { readonly id: string; readonly uai: string },
  height: number,
): string | undefined {
  if (steps.length === 0) return directory;
  const takes = rolloutBucket(reader.id, reader.uai) < percentAt(steps, height);
  return takes ? directory : fallback;
}

/** What a public directory says of itself. */
export interface PublicDirectoryHead {
  readonly publicIri: string;
  readonly completeIri: string;
  readonly uai: string;
  readonly canonicalHash: string;
  readonly commitment: DirectoryCommitment;
  readonly rollout: DirectoryRollout;
  /** Its statements that are about the directories, not the dataset. */
  readonly records: readonly Quad[];
}

/** @throws MDDS_SHAPE when it is not exactly one public directory */
export function readPublicDirectory(quads: readonly Quad[]): PublicDirectoryHead {
  const values = (subject: string, predicate: string) =>
    quads
      .filter((quad) => quad.subject.value === subject && quad.predicate.value === predicate)
      .map(({ object }) => object.value);
  const one = (subject: string, predicate: string): string => {
    const [value, ...others] = values(subject, predicate);
    if (value === undefined || others.length > 0)
      throw mddsError('MDDS_SHAPE', `<${subject}> needs one <${predicate}>`);
    return value;
  };
  const heads = quads.filter(
    ({ predicate, object }) =>
      predicate.value === iri('rdf:type') && object.value === iri('mdds:PublicDirectory'),
  );
  const publicIri = heads[0]?.subject.value;
  if (publicIri === undefined || heads.length > 1)
    throw mddsError('MDDS_SHAPE', `${heads.length} public directories in one document`);
  const completeIri = one(publicIri, iri('mdds:completeDirectory'));
  const nodes = values(publicIri, iri('mdds:rollout'));
  const anchors = values(completeIri, iri('mdds:anchor'));
  const steps = nodes.map((node) => ({
    percent: Number(one(node, iri('mdds:percent'))),
    activationHeight: Number(one(node, iri('mdds:activationHeight'))),
  }));
  const [fallback] = nodes.flatMap((node) => values(node, iri('mdds:fallback')));
  const subjects = new Set([publicIri, completeIri, MDDS_PROFILE, ...nodes, ...anchors]);
  return {
    ...{ publicIri, completeIri, uai: one(publicIri, iri('foaf:primaryTopic')) },
    canonicalHash: one(completeIri, iri('mdds:canonicalHash')),
    commitment: {
      root: one(completeIri, iri('mdds:quadMerkleRoot')),
      size: Number(one(completeIri, iri('mdds:quadCount'))),
    },
    rollout: { directory: publicIri, steps, ...(fallback !== undefined && { fallback }) },
    records: quads.filter(({ subject }) => subjects.has(subject.value)),
  };
}

/**
 * Proves that all that a public directory says about its dataset is in the complete directory that it
 * commits to.
 *
 * @throws MDDS_PROOF_INVALID, MDDS_SHAPE
 */
export function verifyPublicDirectory(quads: readonly Quad[], disclosure: Disclosure): void {
  const { commitment, records } = readPublicDirectory(quads);
  const about = new Set(records.map(quadLine));
  const shared = new Set(sortedLines(quads).filter((line) => !about.has(line)));
  const disclosed = verifyDisclosure(disclosure, commitment);
  if (disclosed.length !== shared.size || !disclosed.every((line) => shared.has(line)))
    throw mddsError(
      'MDDS_PROOF_INVALID',
      'the disclosure shows other statements than the document',
    );
}
