/**
 * The JSON-LD context of MDDS documents, built in so that nothing is ever fetched. The same is
 * published as schemas/context.jsonld; a test compares them.
 */
import { MDDS_CONTEXT_IRI } from './json-ld.ts';
import { PREFIXES } from './namespaces.ts';

type Name = string;

/** Classes and plain texts; the term is the local name. */
const PLAIN: readonly Name[] = words(`
  mdds:PublicDirectory mdds:CompleteDirectory mdds:Anchor mdds:Rollout mdds:RolloutStage
  mdds:Encryption mdds:StorageMechanism mdds:Cipher mdds:KeyWrap mdds:Visibility mdds:Sandbox
  mdds:ProofScheme mdds:SchedulingClass mdds:PricedUnit mdds:Currency mdds:Price
  mdds:BenchmarkResult mdds:ComputeResource mdds:StorageResource mdds:JobRequest mdds:ShardTask
  mdds:JobReceipt mdds:transaction mdds:abePolicy mdds:rootCid mdds:minimum mdds:maximum
  mdds:semanticType mdds:cpuArchitecture mdds:suite dcat:Dataset dcat:Distribution
  dcat:CatalogRecord dcat:DataService dcat:version csvw:Schema csvw:Column odrl:Offer foaf:Agent
  foaf:name dct:identifier`);

/** Properties whose values are things with a name. */
const THINGS: readonly Name[] = words(`
  mdds:completeDirectory mdds:anchor mdds:chain mdds:rollout mdds:stage mdds:fallback
  mdds:storageMechanism mdds:encryption mdds:cipher mdds:keyWrap mdds:originalSource
  mdds:visibility mdds:sandbox mdds:domain mdds:benchmark mdds:price mdds:per mdds:currency
  mdds:proofScheme mdds:algorithm mdds:schedulingClass mdds:shard mdds:request dct:publisher
  dct:creator dct:license dct:temporal dct:spatial dct:conformsTo dcat:theme dcat:previousVersion
  dcat:contactPoint dcat:distribution dcat:mediaType dcat:accessURL dcat:accessService
  dcat:endpointURL foaf:primaryTopic odrl:hasPolicy spdx:checksum csvw:tableSchema csvw:column
  dpv:hasPersonalData dqv:hasQualityMeasurement dqv:isMeasurementOf prov:used prov:generated
  prov:wasGeneratedBy prov:wasAssociatedWith`);

/** Texts in several languages. */
const LANGUAGE_MAPS = words('dct:title dct:description dcat:keyword adms:versionNotes');

/** Literals, by their type. */
const TYPED: Readonly<Record<string, readonly Name[]>> = {
  'xsd:integer': words(`
    mdds:height mdds:percent mdds:activationHeight mdds:replicas mdds:maxReplicas mdds:erasureK
    mdds:erasureN mdds:chunkSizeBytes mdds:rowCount mdds:distinct mdds:cpuCores mdds:memoryBytes
    mdds:diskBytes mdds:bandwidthBps mdds:gpuCount mdds:gpuMemoryBytes mdds:isolation
    mdds:capacityBytes mdds:freeBytes mdds:minIsolation mdds:index mdds:minCpuCores
    mdds:minMemoryBytes mdds:minDiskBytes mdds:shardIndex mdds:peakMemoryBytes`),
  'xsd:nonNegativeInteger': words('mdds:quadCount dcat:byteSize'),
  'xsd:decimal': words(
    'mdds:nullRatio mdds:score mdds:amount mdds:maxPrice mdds:cpuSeconds mdds:charged',
  ),
  'xsd:hexBinary': words(`
    mdds:canonicalHash mdds:quadMerkleRoot mdds:commitSalt mdds:directoryRootHash
    mdds:environmentHash mdds:resultHash spdx:checksumValue`),
  'xsd:date': words('dcat:startDate dcat:endDate'),
  'xsd:dateTime': words(
    'mdds:deadline dct:modified dct:issued prov:startedAtTime prov:endedAtTime',
  ),
};

function words(text: string): readonly string[] {
  return text.trim().split(/\s+/);
}

const termOf = (name: Name): string => name.slice(name.indexOf(':') + 1);

function contextOf(): Readonly<Record<string, unknown>> {
  const context: Record<string, unknown> = { '@version': 1.1, ...PREFIXES };
  context['id'] = '@id';
  context['type'] = '@type';
  for (const name of PLAIN) context[termOf(name)] = name;
  for (const name of THINGS) context[termOf(name)] = { '@id': name, '@type': '@id' };
  for (const name of LANGUAGE_MAPS)
    context[termOf(name)] = { '@id': name, '@container': '@language' };
  for (const [type, names] of Object.entries(TYPED))
    for (const name of names) context[termOf(name)] = { '@id': name, '@type': type };
  // Their local names are taken, or say too little alone.
  context['checksumAlgorithm'] = { '@id': 'spdx:algorithm', '@type': '@id' };
  context['columnName'] = 'csvw:name';
  context['columnDatatype'] = 'csvw:datatype';
  return { '@context': context };
}

/** Contents of {@link MDDS_CONTEXT_IRI}. */
export const MDDS_CONTEXT: object = contextOf();

/** What `readJsonLd` and `writeJsonLd` take as their contexts. */
export const BUILT_IN_CONTEXTS: Readonly<Record<string, object>> = {
  [MDDS_CONTEXT_IRI]: MDDS_CONTEXT,
};
