/**
 * From a description in plain values to the two directories of a dataset. The complete one holds every
 * statement; the public one holds the statements that the allow-list lets through, and the records
 * about both: hash, root and size of the complete one, and the rollout of this version.
 */
import type { Quad } from '@rdfjs/types';
import { bytesToHex, type Bytes, utf8 } from '#libs/kernel';
import { sha256 } from '#libs/crypto';
import { canonicalLines, hashOfLines } from './canonical.ts';
import { CommittedDirectory } from './commitment.ts';
import { describeDistribution, isPublicColumn } from './describe-storage.ts';
import type { DatasetDescription, PublicPart, Words } from './description.ts';
import { mddsError } from './errors.ts';
import { iri } from './namespaces.ts';
import { QuadCollector, quadLine } from './quads.ts';
import { skolemise } from './skolem.ts';
import {
  Statements,
  type Visibility,
  decimal,
  named,
  plainText,
  term,
  textIn,
  typed,
} from './statements.ts';

export const MDDS_PROFILE = 'https://w3id.org/mdds/profile/1.0';
const SALT_DOMAIN = utf8('seele/mdds-commit-salt/1\0');
const SALT_BYTES = 16;

export interface DescribedDataset {
  /** Every statement about the dataset, and the salt; the owner's. */
  readonly complete: readonly Quad[];
  /** What everybody may read: `shared`, and the records. */
  readonly public: readonly Quad[];
  /** The statements of the complete directory that the public one repeats. */
  readonly shared: readonly Quad[];
  /** Commits to the complete directory; discloses parts of it. */
  readonly committed: CommittedDirectory;
  /** SHA-256 of the complete directory's canonical text. */
  readonly canonicalHash: string;
  readonly publicIri: string;
  readonly completeIri: string;
  /** Columns that were to be public and are not: a detector or a mark of personal data forbade it. */
  readonly vetoed: readonly string[];
}

const textsOf = (words: Words) =>
  Object.entries(typeof words === 'string' ? { en: words } : words).map(([language, text]) =>
    textIn(text, language),
  );

/** Owner part of a UAI, under which nodes without names get theirs. */
const baseOf = (uai: string): string => /^chain:\/\/[^/]+\/[^/]+/.exec(uai)?.[0] ?? uai;

/**
 * @param secret 32 random bytes of this version, kept by the owner
 * @throws MDDS_DESCRIPTION, MDDS_SYNTAX for what is no IRI, MDDS_LIMIT
 */
export async function describeDataset(
  description: DatasetDescription,
  secret: Bytes,
): Promise<DescribedDataset> {
  const { uai, version, vetoes, distributions } = description;
  if (!/^chain:\/\/[^/]+\/[^/]+\/.+[^/]$/.test(uai))
    throw mddsError('MDDS_DESCRIPTION', `"${uai}" is no UAI of a dataset`);
  const allowed = new Set<PublicPart>(description.publish);
  const visibilityOf = (part: PublicPart): Visibility => (allowed.has(part) ? 'public' : 'private');
  const out = new Statements();
  describeSubject(out, description, visibilityOf);
  describeOffer(out, description);
  for (const distribution of distributions)
    describeDistribution(out, description, distribution, visibilityOf);
  const [publicIri, completeIri] = [
    `${uai}/directories/${version}/public`,
    `${uai}/directories/${version}/complete`,
  ];
  // The hash of a directory would confirm guesses of what it says, were all of that guessable.
  const salt = sha256(new Uint8Array([...SALT_DOMAIN, ...secret])).slice(0, SALT_BYTES);
  out.add(named(completeIri), 'mdds:commitSalt', typed(bytesToHex(salt), 'xsd:hexBinary'));
  const shared = await skolemise(out.publicQuads, baseOf(uai));
  const complete = [...shared, ...(await skolemise(out.privateQuads, baseOf(uai)))];
  const records = new Statements();
  checkTerms(complete);
  const lines = await canonicalLines(complete);
  const committed = new CommittedDirectory(lines, secret);
  const canonicalHash = hashOfLines(lines);
  describeRecords(records, description, { publicIri, completeIri, canonicalHash, committed });
  checkTerms(records.publicQuads);
  const vetoed = distributions.flatMap(({ columns = [] }) =>
    columns
      .filter((column) => column.visibility === 'public' && !isPublicColumn(column, vetoes))
      .map(({ name }) => name),
  );
  return {
    ...{ complete, shared, committed, canonicalHash, publicIri, completeIri, vetoed },
    public: [...shared, ...(await skolemise(records.publicQuads, baseOf(uai)))],
  };
}

/** What a description holds must be readable again. @throws MDDS_SYNTAX, MDDS_LIMIT */
function checkTerms(quads: readonly Quad[]): void {
  const collector = new QuadCollector();
  for (const quad of quads) collector.add(quad);
}

function describeSubject(
  out: Statements,
  description: DatasetDescription,
  visibilityOf: (part: PublicPart) => Visibility,
): void {
  const { uai, publisher, version, previousVersion } = description;
  const dataset = named(uai);
  const say = (predicate: Parameters<Statements['add']>[1], object: Quad['object']) =>
    out.add(dataset, predicate, object, 'public');
  say('rdf:type', term('dcat:Dataset'));
  // DCAT-AP asks for the type that a record is about, and its shapes know no subclasses.
  say('rdf:type', term('dcat:Resource'));
  for (const text of textsOf(description.title)) say('dct:title', text);
  for (const text of textsOf(description.description)) say('dct:description', text);
  say('dct:identifier', plainText(uai));
  say('dct:publisher', named(publisher.iri));
  out.add(named(publisher.iri), 'rdf:type', term('foaf:Agent'), 'public');
  out.add(named(publisher.iri), 'foaf:name', plainText(publisher.name), 'public');
  say('dcat:version', plainText(version));
  if (previousVersion !== undefined) say('dcat:previousVersion', named(previousVersion));
  if (description.versionNotes !== undefined)
    for (const text of textsOf(description.versionNotes))
      out.add(dataset, 'adms:versionNotes', text, visibilityOf('versionNotes'));
  for (const keyword of description.keywords ?? [])
    out.add(dataset, 'dcat:keyword', textIn(keyword, 'en'), visibilityOf('keywords'));
  for (const { iri: theme, label } of description.themes ?? []) {
    const seen = visibilityOf('themes');
    out.add(dataset, 'dcat:theme', named(theme), seen);
    out.add(named(theme), 'rdf:type', term('skos:Concept'), seen);
    out.add(named(theme), 'skos:prefLabel', textIn(label, 'en'), seen);
  }
  describeContext(out, description, visibilityOf);
}

function describeContext(
  out: Statements,
  { uai, contact, temporal, spatial, completeness, provenance, publisher }: DatasetDescription,
  visibilityOf: (part: PublicPart) => Visibility,
): void {
  const dataset = named(uai);
  if (contact) {
    const seen = visibilityOf('contact');
    const node = out.node('vcard:Kind', seen);
    out.add(dataset, 'dcat:contactPoint', node, seen);
    out.add(node, 'vcard:fn', plainText(contact.name), seen);
    if (contact.email !== undefined)
      out.add(node, 'vcard:hasEmail', named(`mailto:${contact.email}`), seen);
  }
  if (temporal) {
    const seen = visibilityOf('temporal');
    const node = out.node('dct:PeriodOfTime', seen);
    out.add(dataset, 'dct:temporal', node, seen);
    const { start, end } = temporal;
    if (start !== undefined) out.add(node, 'dcat:startDate', typed(start, 'xsd:date'), seen);
    if (end !== undefined) out.add(node, 'dcat:endDate', typed(end, 'xsd:date'), seen);
  }
  if (spatial) {
    const seen = visibilityOf('spatial');
    const { west, south, east, north } = spatial;
    const node = out.node('dct:Location', seen);
    out.add(dataset, 'dct:spatial', node, seen);
    const corners = [
      [west, south],
      [east, south],
      [east, north],
      [west, north],
      [west, south],
    ].map((corner) => corner.join(' '));
    const wkt = `POLYGON((${corners.join(',')}))`;
    out.add(node, 'dcat:bbox', typed(wkt, 'geo:wktLiteral'), seen);
  }
  if (completeness !== undefined) {
    const seen = visibilityOf('quality');
    const node = out.node('dqv:QualityMeasurement', seen);
    out.add(dataset, 'dqv:hasQualityMeasurement', node, seen);
    out.add(node, 'dqv:isMeasurementOf', term('mdds:completeness'), seen);
    out.add(node, 'dqv:value', decimal(completeness), seen);
  }
  if (provenance) {
    const seen = visibilityOf('provenance');
    const node = out.node('prov:Activity', seen);
    out.add(dataset, 'prov:wasGeneratedBy', node, seen);
    out.add(node, 'prov:used', named(provenance.used), seen);
    out.add(node, 'prov:endedAtTime', typed(provenance.endedAt, 'xsd:dateTime'), seen);
    out.add(node, 'prov:wasAssociatedWith', named(publisher.iri), seen);
  }
}

function describeOffer(out: Statements, { uai, publisher, offer }: DatasetDescription): void {
  const node = named(`${uai}/offer`);
  const seen = 'public';
  out.add(named(uai), 'odrl:hasPolicy', node, seen);
  out.add(node, 'rdf:type', term('odrl:Offer'), seen);
  out.add(node, 'rdf:type', term('odrl:Policy'), seen);
  out.add(node, 'odrl:uid', node, seen);
  const permission = out.bare(seen);
  out.add(node, 'odrl:permission', permission, seen);
  out.add(permission, 'odrl:target', named(uai), seen);
  out.add(permission, 'odrl:assigner', named(publisher.iri), seen);
  out.add(permission, 'odrl:action', term('odrl:use'), seen);
  const constrain = (
    owner: Quad['subject'],
    left: 'purpose' | 'count' | 'payAmount',
    operator: 'eq' | 'lteq',
    right: Quad['object'],
  ) => {
    const constraint = out.bare(seen);
    out.add(owner, 'odrl:constraint', constraint, seen);
    out.add(constraint, 'odrl:leftOperand', term(`odrl:${left}`), seen);
    out.add(constraint, 'odrl:operator', term(`odrl:${operator}`), seen);
    out.add(constraint, 'odrl:rightOperand', right, seen);
    return constraint;
  };
  if (offer.purpose !== undefined) constrain(permission, 'purpose', 'eq', plainText(offer.purpose));
  if (offer.uses !== undefined)
    constrain(permission, 'count', 'lteq', typed(offer.uses, 'xsd:integer'));
  const duty = out.bare(seen);
  out.add(permission, 'odrl:duty', duty, seen);
  out.add(duty, 'odrl:action', term('odrl:compensate'), seen);
  const amount = constrain(duty, 'payAmount', 'eq', decimal(offer.price));
  out.add(amount, 'odrl:unit', named(offer.currency ?? iri('mdds:token')), seen);
}

function describeRecords(
  out: Statements,
  { uai, modified, rollout = [], fallback }: DatasetDescription,
  about: Pick<DescribedDataset, 'publicIri' | 'completeIri' | 'canonicalHash' | 'committed'>,
): void {
  const seen = 'public';
  const [here, complete] = [named(about.publicIri), named(about.completeIri)];
  for (const [node, type] of [
    [here, 'mdds:PublicDirectory'],
    [complete, 'mdds:CompleteDirectory'],
  ] as const) {
    out.add(node, 'rdf:type', term('dcat:CatalogRecord'), seen);
    out.add(node, 'rdf:type', term(type), seen);
    out.add(node, 'foaf:primaryTopic', named(uai), seen);
    out.add(node, 'dct:modified', typed(modified, 'xsd:dateTime'), seen);
  }
  out.add(here, 'dct:conformsTo', named(MDDS_PROFILE), seen);
  out.add(named(MDDS_PROFILE), 'rdf:type', term('dct:Standard'), seen);
  out.add(here, 'mdds:completeDirectory', complete, seen);
  const { root, size } = about.committed.commitment;
  out.add(complete, 'mdds:canonicalHash', typed(about.canonicalHash, 'xsd:hexBinary'), seen);
  out.add(complete, 'mdds:quadMerkleRoot', typed(root, 'xsd:hexBinary'), seen);
  out.add(complete, 'mdds:quadCount', typed(size, 'xsd:nonNegativeInteger'), seen);
  for (const { percent, activationHeight } of rollout) {
    if (percent < 100 && fallback === undefined)
      throw mddsError('MDDS_DESCRIPTION', 'a rollout to some readers needs a fallback');
    const step = out.node('mdds:Rollout', seen);
    out.add(here, 'mdds:rollout', step, seen);
    out.add(step, 'mdds:percent', typed(percent, 'xsd:integer'), seen);
    out.add(step, 'mdds:activationHeight', typed(activationHeight, 'xsd:integer'), seen);
    if (fallback !== undefined) out.add(step, 'mdds:fallback', named(fallback), seen);
  }
}

/** Discloses exactly what the public directory repeats of the complete one. */
export function discloseShared({ committed, shared }: DescribedDataset) {
  const lines = new Set(shared.map(quadLine));
  return committed.disclose((line) => lines.has(line));
}
