/** The storage side of a directory: distributions, encryption, columns with their statistics. */
import type { Quad } from '@rdfjs/types';
import { mddsError } from './errors.ts';
import {
  type ColumnDescription,
  type DatasetDescription,
  type DistributionDescription,
  type PublicPart,
  STORAGE_MECHANISMS,
} from './description.ts';
import {
  type Statements,
  type Visibility,
  decimal,
  named,
  plainText,
  term,
  typed,
} from './statements.ts';

const MEDIA_TYPES = 'https://www.iana.org/assignments/media-types/';
const ID = /^[A-Za-z0-9][A-Za-z0-9.-]{0,63}$/;

const optional = <T, R>(value: T | undefined, map: (value: T) => R): R | undefined =>
  value === undefined ? undefined : map(value);

/** Whether a column may be described in public; a mark of personal data and vetoes win. */
export const isPublicColumn = (
  { name, visibility, personalData }: ColumnDescription,
  vetoes: readonly string[] = [],
): boolean => visibility === 'public' && personalData === undefined && !vetoes.includes(name);

export function describeDistribution(
  out: Statements,
  dataset: DatasetDescription,
  distribution: DistributionDescription,
  visibilityOf: (part: PublicPart) => Visibility,
): void {
  const { uai } = dataset;
  const { id, mechanism, erasure } = distribution;
  if (!ID.test(id)) throw mddsError('MDDS_DESCRIPTION', `"${id}" is no id of a distribution`);
  const node = named(`${uai}/dist/${id}`);
  const say = (predicate: Parameters<Statements['add']>[1], object: Quad['object'] | undefined) =>
    out.add(node, predicate, object, 'public');
  out.add(named(uai), 'dcat:distribution', node, 'public');
  say('rdf:type', term('dcat:Distribution'));
  const mediaType = named(MEDIA_TYPES + distribution.mediaType);
  say('dcat:mediaType', mediaType);
  out.add(mediaType, 'rdf:type', term('dct:MediaType'), 'public');
  say('dcat:accessURL', named(distribution.accessUrl ?? `${uai}/access`));
  say('mdds:storageMechanism', term(STORAGE_MECHANISMS[mechanism]));
  describeEncryption(out, distribution, node);
  const { directoryRootHash, byteSize, rowCount, replicas, rootCid, originalSource } = distribution;
  say(
    'mdds:directoryRootHash',
    optional(directoryRootHash, (hash) => typed(hash, 'xsd:hexBinary')),
  );
  const size = optional(byteSize, (bytes) => typed(bytes, 'xsd:nonNegativeInteger'));
  out.add(node, 'dcat:byteSize', size, visibilityOf('byteSize'));
  const rows = optional(rowCount, (count) => typed(count, 'xsd:integer'));
  out.add(node, 'mdds:rowCount', rows, visibilityOf('rowCount'));
  const copies = optional(replicas, (count) => typed(count, 'xsd:integer'));
  out.add(node, 'mdds:replicas', copies, visibilityOf('replicas'));
  if (erasure) {
    const seen = visibilityOf('replicas');
    out.add(node, 'mdds:erasureK', typed(erasure.dataShards, 'xsd:integer'), seen);
    out.add(node, 'mdds:erasureN', typed(erasure.shards, 'xsd:integer'), seen);
  }
  describeChecksum(out, distribution, node, visibilityOf('checksum'));
  out.add(node, 'mdds:rootCid', optional(rootCid, plainText));
  out.add(node, 'mdds:originalSource', optional(originalSource, named));
  describeColumns(out, dataset, distribution, node);
}

function describeEncryption(
  out: Statements,
  { encryption, mechanism, id }: DistributionDescription,
  node: Quad['subject'],
): void {
  if (!encryption) {
    if (mechanism === 'ipfs')
      throw mddsError('MDDS_DESCRIPTION', `distribution "${id}" on IPFS is not encrypted`);
    return;
  }
  const { keyWrap, abePolicy, chunkSizeBytes } = encryption;
  const about = out.node('mdds:Encryption', 'public');
  out.add(node, 'mdds:encryption', about, 'public');
  out.add(about, 'mdds:cipher', term('mdds:Aes256GcmChunked'), 'public');
  out.add(about, 'mdds:chunkSizeBytes', typed(chunkSizeBytes, 'xsd:integer'), 'public');
  const wrap = term(keyWrap === 'cp-abe' ? 'mdds:CpAbe' : 'mdds:X25519');
  out.add(about, 'mdds:keyWrap', wrap, 'public');
  out.add(about, 'mdds:abePolicy', optional(abePolicy, plainText), 'public');
}

function describeChecksum(
  out: Statements,
  { sha256 }: DistributionDescription,
  node: Quad['subject'],
  visibility: Visibility,
): void {
  if (sha256 === undefined) return;
  const checksum = out.node('spdx:Checksum', visibility);
  out.add(node, 'spdx:checksum', checksum, visibility);
  const algorithm = term('spdx:checksumAlgorithm_sha256');
  out.add(checksum, 'spdx:algorithm', algorithm, visibility);
  out.add(checksum, 'spdx:checksumValue', typed(sha256, 'xsd:hexBinary'), visibility);
  out.add(algorithm, 'rdf:type', term('spdx:ChecksumAlgorithm'), visibility);
}

/** Named after the columns, not by their places: gaps would tell how many are hidden. */
function describeColumns(
  out: Statements,
  { vetoes }: DatasetDescription,
  { columns = [], id }: DistributionDescription,
  node: Quad['subject'],
): void {
  if (columns.length === 0) return;
  const unnameable = columns.some(({ name }) => name === '' || !name.isWellFormed());
  if (unnameable)
    throw mddsError('MDDS_DESCRIPTION', `distribution "${id}" has a column without a proper name`);
  const names = new Set(columns.map(({ name }) => name));
  if (names.size !== columns.length)
    throw mddsError('MDDS_DESCRIPTION', `distribution "${id}" has two columns of one name`);
  const schema = named(`${node.value}/schema`);
  const seen: Visibility = columns.some((column) => isPublicColumn(column, vetoes))
    ? 'public'
    : 'private';
  out.add(node, 'csvw:tableSchema', schema, seen);
  out.add(schema, 'rdf:type', term('csvw:Schema'), seen);
  for (const column of columns) describeColumn(out, column, schema, vetoes);
}

function describeColumn(
  out: Statements,
  column: ColumnDescription,
  schema: Quad['subject'],
  vetoes: readonly string[] | undefined,
): void {
  const isPublic = isPublicColumn(column, vetoes);
  const seen: Visibility = isPublic ? 'public' : 'private';
  const node = named(`${schema.value}/${encodeURIComponent(column.name)}`);
  out.add(schema, 'csvw:column', node, seen);
  out.add(node, 'rdf:type', term('csvw:Column'), seen);
  out.add(node, 'csvw:name', plainText(column.name), seen);
  out.add(node, 'csvw:datatype', plainText(column.datatype), seen);
  out.add(node, 'mdds:visibility', term(isPublic ? 'mdds:Public' : 'mdds:Private'), seen);
  out.add(node, 'mdds:semanticType', optional(column.semanticType, plainText), seen);
  out.add(node, 'dpv:hasPersonalData', optional(column.personalData, named));
  const figures: Visibility = isPublic && column.statistics === 'public' ? 'public' : 'private';
  out.add(node, 'mdds:nullRatio', optional(column.nullRatio, decimal), figures);
  const distinct = optional(column.distinct, (count) => typed(count, 'xsd:integer'));
  out.add(node, 'mdds:distinct', distinct, figures);
  out.add(node, 'mdds:minimum', optional(column.minimum, plainText), figures);
  out.add(node, 'mdds:maximum', optional(column.maximum, plainText), figures);
}
