/**
 * What else is bought and sold, as RDF: machines, storage, jobs with what each shard needs at least,
 * and receipts (PROV-O activities). Everything said here is meant to be public.
 */
import type { Quad } from '@rdfjs/types';
import { mddsError } from './errors.ts';
import { skolemise } from './skolem.ts';
import { Statements, decimal, named, plainText, term, textIn, typed } from './statements.ts';

type Predicate = Parameters<Statements['add']>[1];

export interface PriceDescription {
  /** Decimal, in the chain's money. */
  readonly amount: string;
  readonly per: 'core-second' | 'gib-month';
}

export interface ComputeDescription {
  readonly iri: string;
  readonly title: string;
  readonly publisher: string;
  readonly cpuCores: number;
  readonly cpuArchitecture: 'x86_64' | 'aarch64' | 'riscv64' | 'wasm32';
  readonly memoryBytes: number;
  readonly diskBytes: number;
  /** 0 to 4: S0 … S4 as probed. */
  readonly isolation: number;
  readonly price: PriceDescription;
  /** ISO 8601. */
  readonly modified: string;
  readonly domain?: string;
}

export interface StorageDescription {
  readonly iri: string;
  readonly title: string;
  readonly publisher: string;
  readonly endpointUrl: string;
  readonly capacityBytes: number;
  readonly freeBytes: number;
  readonly price?: PriceDescription;
  readonly erasure?: { readonly dataShards: number; readonly shards: number };
}

export interface ShardNeeds {
  readonly cpuCores: number;
  readonly memoryBytes: number;
  readonly diskBytes: number;
}

export interface JobRequestDescription {
  readonly iri: string;
  readonly creator: string;
  readonly issued: string;
  /** Datasets and other inputs. */
  readonly used: readonly string[];
  readonly algorithm: string;
  readonly tier: 'A' | 'B' | 'C';
  readonly maxPrice: string;
  readonly deadline?: string;
  readonly minIsolation?: number;
  /** What each shard needs at least, in order. */
  readonly shards: readonly ShardNeeds[];
}

export interface ReceiptDescription {
  readonly iri: string;
  readonly request: string;
  readonly shardIndex: number;
  /** Machine, or account, that did it. */
  readonly machine: string;
  readonly used: readonly string[];
  readonly startedAt: string;
  readonly endedAt: string;
  readonly result: string;
  /** SHA-256 of the result, hex. */
  readonly resultHash: string;
  readonly cpuSeconds?: string;
  readonly peakMemoryBytes?: number;
  readonly charged?: string;
}

const TIERS = { A: 'mdds:TierA', B: 'mdds:TierB', C: 'mdds:TierC' } as const;

const whole = (value: number | undefined) =>
  value === undefined ? undefined : typed(value, 'xsd:integer');
const instant = (text: string | undefined) =>
  text === undefined ? undefined : typed(text, 'xsd:dateTime');
const amount = (text: string | undefined) => (text === undefined ? undefined : decimal(text));

/** Statements about one node, all public. */
function about(out: Statements, iri: string) {
  const node = named(iri);
  return (predicate: Predicate, object: Quad['object'] | undefined) =>
    out.add(node, predicate, object, 'public');
}

function priceNode(out: Statements, price: PriceDescription) {
  const node = out.bare('public');
  out.add(node, 'mdds:amount', decimal(price.amount), 'public');
  const per = price.per === 'core-second' ? 'mdds:CoreSecond' : 'mdds:GiBMonth';
  out.add(node, 'mdds:per', term(per), 'public');
  out.add(node, 'mdds:currency', term('mdds:token'), 'public');
  return node;
}

const finished = (out: Statements, iri: string): Promise<readonly Quad[]> =>
  skolemise(out.publicQuads, iri);

/** `mdds:ComputeResource`. @throws MDDS_SYNTAX for what is no IRI */
export function describeCompute(machine: ComputeDescription): Promise<readonly Quad[]> {
  const out = new Statements();
  const say = about(out, machine.iri);
  say('rdf:type', term('mdds:ComputeResource'));
  say('dct:title', textIn(machine.title, 'en'));
  say('dct:publisher', named(machine.publisher));
  say('mdds:cpuCores', whole(machine.cpuCores));
  say('mdds:cpuArchitecture', plainText(machine.cpuArchitecture));
  say('mdds:memoryBytes', whole(machine.memoryBytes));
  say('mdds:diskBytes', whole(machine.diskBytes));
  say('mdds:isolation', whole(machine.isolation));
  say('mdds:price', priceNode(out, machine.price));
  say('dct:modified', instant(machine.modified));
  if (machine.domain !== undefined) say('mdds:domain', named(machine.domain));
  return finished(out, machine.iri);
}

/** `mdds:StorageResource`, a `dcat:DataService`. */
export function describeStorage(storage: StorageDescription): Promise<readonly Quad[]> {
  const out = new Statements();
  const say = about(out, storage.iri);
  say('rdf:type', term('mdds:StorageResource'));
  say('rdf:type', term('dcat:DataService'));
  say('dct:title', textIn(storage.title, 'en'));
  say('dct:publisher', named(storage.publisher));
  say('dcat:endpointURL', named(storage.endpointUrl));
  say('mdds:capacityBytes', whole(storage.capacityBytes));
  say('mdds:freeBytes', whole(storage.freeBytes));
  say('mdds:proofScheme', term('mdds:MerkleChallenge'));
  if (storage.price) say('mdds:price', priceNode(out, storage.price));
  say('mdds:erasureK', whole(storage.erasure?.dataShards));
  say('mdds:erasureN', whole(storage.erasure?.shards));
  return finished(out, storage.iri);
}

/** `mdds:JobRequest` with its shards' minimums. @throws MDDS_DESCRIPTION without a shard or an input */
export function describeJob(job: JobRequestDescription): Promise<readonly Quad[]> {
  if (job.shards.length === 0 || job.used.length === 0)
    throw mddsError('MDDS_DESCRIPTION', 'a job request names an input and at least one shard');
  const out = new Statements();
  const say = about(out, job.iri);
  say('rdf:type', term('mdds:JobRequest'));
  say('dct:issued', instant(job.issued));
  say('dct:creator', named(job.creator));
  for (const used of job.used) say('prov:used', named(used));
  say('mdds:algorithm', named(job.algorithm));
  say('mdds:schedulingClass', term(TIERS[job.tier]));
  say('mdds:maxPrice', amount(job.maxPrice));
  say('mdds:deadline', instant(job.deadline));
  say('mdds:minIsolation', whole(job.minIsolation));
  for (const [index, shard] of job.shards.entries()) {
    const node = out.node('mdds:ShardTask', 'public');
    say('mdds:shard', node);
    out.add(node, 'mdds:index', whole(index), 'public');
    out.add(node, 'mdds:minCpuCores', whole(shard.cpuCores), 'public');
    out.add(node, 'mdds:minMemoryBytes', whole(shard.memoryBytes), 'public');
    out.add(node, 'mdds:minDiskBytes', whole(shard.diskBytes), 'public');
  }
  return finished(out, job.iri);
}

/** `mdds:JobReceipt`, a `prov:Activity`; proves nothing by itself, unlike the receipt file. */
export function describeReceipt(receipt: ReceiptDescription): Promise<readonly Quad[]> {
  const out = new Statements();
  const say = about(out, receipt.iri);
  say('rdf:type', term('mdds:JobReceipt'));
  say('rdf:type', term('prov:Activity'));
  say('mdds:request', named(receipt.request));
  say('mdds:shardIndex', whole(receipt.shardIndex));
  say('prov:wasAssociatedWith', named(receipt.machine));
  for (const used of receipt.used) say('prov:used', named(used));
  say('prov:startedAtTime', instant(receipt.startedAt));
  say('prov:endedAtTime', instant(receipt.endedAt));
  say('prov:generated', named(receipt.result));
  say('mdds:resultHash', typed(receipt.resultHash, 'xsd:hexBinary'));
  say('mdds:cpuSeconds', amount(receipt.cpuSeconds));
  say('mdds:peakMemoryBytes', whole(receipt.peakMemoryBytes));
  say('mdds:charged', amount(receipt.charged));
  return finished(out, receipt.iri);
}
