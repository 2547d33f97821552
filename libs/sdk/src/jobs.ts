/**
 * From "run this on that" to the documents that are signed: the manifest of a job and the order that
 * pays for it.
 */
import { randomBytes } from 'node:crypto';
import {
  type ArrayTerms,
  type Order,
  type SignedOrder,
  ORDER_DOMAIN,
  orderBytes,
  orderId,
} from '#contracts';
import type { Signer } from '#libs/crypto';
import type { AccountId } from '#libs/kernel';
import {
  type ArrayManifest,
  DEFAULT_JOB_FUEL,
  DEFAULT_JOB_LIMITS,
  type IsolationLevel,
  type JobKind,
  type JobLimits,
  MANIFEST_INPUTS_MAX,
  type Manifest,
  type Metering,
  type OrderInput,
  type PlacementTerms,
  QUORUM_TERMS,
  type Tier,
  asksForQuorum,
  manifestProblem,
} from '#libs/market';
import type { BlobRef } from '#libs/storage';
import { sdkError } from './errors.ts';

/** What a person says about a job; everything but the code has a preset. */
export interface JobDescription {
  readonly name?: string;
  /** CID of the program: an ES module (`export default async ({ inputs, … }) => …`) or a WASI command. */
  readonly code: string;
  /** Preset `js`. */
  readonly kind?: JobKind;
  /** Terms of the metered engine; a verifiable job that gives none gets `DEFAULT_JOB_FUEL`. */
  readonly metering?: Metering;
  readonly inputs?: readonly (BlobRef & { readonly name: string })[];
  /** Inputs that are results of earlier orders of the same account. */
  readonly from?: readonly OrderInput[];
  /** Any JSON value; the guest sees it as `params`. */
  readonly params?: unknown;
  /** `A` cheap, `B` fast, `C` safe. Preset `A`. */
  readonly tier?: Tier;
  readonly limits?: Partial<JobLimits>;
  /** Preset `S2`; see `defaultMinIsolation` for one machine. */
  readonly minIsolation?: IsolationLevel;
  readonly cores?: number;
  readonly diskBytes?: number;
  /** Where it may run and what matters, beyond the tier's presets. */
  readonly placement?: PlacementTerms;
  /** Many tasks of this program (1–10 000); the guest gets its number as `task.index`. */
  readonly tasks?: number;
  /** With `tasks`: one input per task and its name: from a document that lists them, or the output of the same task of an order. */
  readonly taskInput?: { readonly name: string; readonly list?: string; readonly order?: string };
  /**
   * Operators that do a task to check each other, of whom a majority decides; 1 takes one operator's word.
   * Preset 1, but for `js` jobs of tier C or of level `assured` only: there two that agree of up to five.
   */
  readonly replicas?: number;
  /** A program that says of each result whether it counts: CID of its code, and its params. */
  readonly validator?: { readonly code: string; readonly params?: unknown; readonly fuel?: bigint };
}

/**
 * What a consumer who says nothing asks for: on one machine, whatever it reaches; on a network S2,
 * an own file system, network and process table (docs/sandbox.md).
 */
export function defaultMinIsolation(marketUrl: string): IsolationLevel {
  const { hostname } = new URL(marketUrl);
  const isOwnMachine =
    hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d+){3}$/.test(hostname);
  return isOwnMachine ? 'S0' : 'S2';
}

/** Replicas make an array of one task, too: money is held and paid for each of them. */
function arrayOf(
  { tasks, taskInput, replicas }: JobDescription,
  isQuorumAsked: boolean,
): ArrayManifest | undefined {
  const isAdaptive = isQuorumAsked && replicas === undefined;
  if (tasks === undefined && replicas === undefined && !isAdaptive) return undefined;
  const check = isAdaptive ? 'adaptive' : 'majority';
  return {
    ...{ tasks: tasks ?? 1, replicas: isAdaptive ? QUORUM_TERMS.most : (replicas ?? 1) },
    ...((isAdaptive || replicas !== undefined) && { check }),
    ...(taskInput && { taskInput }),
  };
}

/** @throws SDK_INPUT_INVALID */
export function describeJob(job: JobDescription): Manifest {
  const { inputs = [] } = job;
  if (inputs.length > MANIFEST_INPUTS_MAX)
    throw sdkError('SDK_INPUT_INVALID', `${inputs.length} inputs, at most ${MANIFEST_INPUTS_MAX}`);
  const limits = { ...DEFAULT_JOB_LIMITS, ...job.limits };
  const kind = job.kind ?? 'js';
  const metering = job.metering ?? (kind === 'verifiable' ? { fuel: DEFAULT_JOB_FUEL } : undefined);
  const tier = job.tier ?? 'A';
  const { placement, validator } = job;
  const array = arrayOf(job, asksForQuorum({ kind, tier, ...(placement && { placement }) }));
  const manifest: Manifest = {
    version: 1,
    name: job.name ?? 'job',
    kind,
    ...(metering && { metering }),
    code: job.code,
    inputs: inputs.map(({ name, cid, sizeBytes }) => ({ name, cid, sizeBytes })),
    ...(job.from && job.from.length > 0 && { from: [...job.from] }),
    params: JSON.stringify(job.params ?? {}),
    limits,
    minIsolation: job.minIsolation ?? 'S2',
    tier,
    resources: {
      cores: job.cores ?? 1,
      memoryBytes: limits.memoryBytes,
      ...(job.diskBytes !== undefined && { diskBytes: job.diskBytes }),
    },
    ...(placement && { placement }),
    ...(array && { array }),
    ...(validator && {
      validator: {
        ...{ code: validator.code, params: JSON.stringify(validator.params ?? {}) },
        ...(validator.fuel !== undefined && { fuel: validator.fuel }),
      },
    }),
  };
  const problem = manifestProblem(manifest);
  if (problem !== undefined) throw sdkError('SDK_INPUT_INVALID', problem);
  return manifest;
}

export interface OrderTerms {
  /** Genesis id of the chain that pays. */
  readonly chain: string;
  /** Account of the market that may bind and settle. */
  readonly market: AccountId;
  /** CID of the stored manifest. */
  readonly manifest: string;
  /** Most that may be charged, in smallest units. */
  readonly priceCap: bigint;
  readonly nowUs: number;
  /** How long the order may wait to be placed. Preset 5 minutes. */
  readonly placeWithinMs?: number;
  /** Undelivered by then, it is refunded. Preset 1 hour. */
  readonly completeWithinMs?: number;
  /** 16 bytes in hex; the same salt makes the same order, so that a retry is no second order. */
  readonly salt?: string;
  /** Of an order of many tasks: money is then held batch by batch. */
  readonly array?: ArrayTerms;
}

/** Builds and signs an order; `id` names it everywhere from now on. */
export function signOrder(signer: Signer, terms: OrderTerms): { id: string; signed: SignedOrder } {
  const order: Order = {
    chain: terms.chain,
    consumer: signer.account,
    market: terms.market,
    salt: terms.salt ?? randomBytes(16).toString('hex'),
    manifest: terms.manifest,
    priceCap: terms.priceCap,
    placeByUs: terms.nowUs + (terms.placeWithinMs ?? 300_000) * 1000,
    completeByUs: terms.nowUs + (terms.completeWithinMs ?? 3_600_000) * 1000,
    ...(terms.array && { array: terms.array }),
  };
  const signature = signer.sign(ORDER_DOMAIN, orderBytes(order));
  return { id: orderId(order), signed: { order, publicKey: signer.publicKey, signature } };
}
