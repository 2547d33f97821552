/** From a job file to jobs that can be ordered: every file looked at, every CID known, nothing stored yet. */
import { isSeeleError, parseAmount } from '#libs/kernel';
import {
  DEFAULT_JOB_FUEL,
  DEFAULT_JOB_LIMITS,
  type IsolationLevel,
  type JobKind,
  type JobLimits,
  type Manifest,
  type Metering,
  QUORUM_TERMS,
  asksForQuorum,
  encodeTaskInputs,
} from '#libs/market';
import {
  type FileJob,
  type JobDescription,
  type JobFile,
  type JobSource,
  describeJob,
  type UaiSource,
  sourceOf,
} from '#libs/sdk';
import { type BlobRef, type BlobStore, blobRef, fileSize, parseCid } from '#libs/storage';
import { type ResultTarget, resultTarget } from './record-result.ts';
import { readProgram } from '../frame/job-program.ts';
import type { DatasetReader } from './datasets.ts';
import { type FileArea, contentOf, localFile, outputFile } from './local-files.ts';

const CODE_MAX_BYTES = 32 * 2 ** 20;
const INPUT_MAX_BYTES = 2 ** 40;
const MIB = 2 ** 20;
const WITHIN_PRESET_MS = 3_600_000;

/** Puts one thing into storage. @throws when it is not what was planned any more */
type Upload = (store: BlobStore) => Promise<void>;

type PlannedInput = { readonly name: string } & (
  | (BlobRef & { readonly dataset?: string })
  | { readonly job: string; readonly task?: number }
);

export interface PlannedJob {
  readonly name: string;
  readonly parents: readonly string[];
  /** Everything but the inputs that other jobs make. */
  readonly description: JobDescription;
  readonly inputs: readonly PlannedInput[];
  /** Each task reads the output of the same task of this job. */
  readonly eachOf?: { readonly name: string; readonly job: string };
  readonly uploads: readonly Upload[];
  /** Tasks times the replicas that may be paid. */
  readonly units: number;
  /** It was written as many tasks: its result is a folder. */
  readonly isMany: boolean;
  readonly priceCap?: bigint;
  /** Milliseconds since 1970. */
  readonly completeByMs?: number;
  readonly withinMs: number;
  /** File for the result. */
  readonly output?: string;
  /** Dataset as which the result is recorded. */
  readonly target?: ResultTarget;
  /** Where its events are sent. */
  readonly webhook?: string;
  /** The manifest once the orders that it reads have ids. @throws SDK_JOB_FILE */
  manifest(orders: ReadonlyMap<string, string>): Manifest;
}

export interface PlanOptions {
  readonly area: FileArea;
  readonly minIsolation: IsolationLevel;
  readonly nowMs: number;
  /** Asked only about datasets that the file names by their UAI. */
  readonly datasets: DatasetReader;
  /** Chain and account under which results are recorded; asked only when the file says so. */
  readonly ownData: () => Promise<{ readonly chainName: string; readonly account: string }>;
  /** Asked only about content that the file names by its CID. */
  readonly store: () => BlobStore;
}

interface Planner extends PlanOptions {
  readonly file: JobFile;
  /** Those before this one. */
  readonly plans: readonly PlannedJob[];
}

/** @throws SDK_JOB_FILE naming the place, VM_… of a program, STORAGE_… of content named by its CID */
export async function planJobs(
  file: JobFile,
  options: PlanOptions,
): Promise<readonly PlannedJob[]> {
  const plans: PlannedJob[] = [];
  for (const job of file.jobs) plans.push(await planJob({ ...options, file, plans }, job));
  const outputs = new Map<string, string>();
  for (const { name, output: path, target } of plans) {
    const output = path ?? target?.uai;
    if (output === undefined) continue;
    const other = outputs.get(output);
    const job = file.jobs.find((one) => one.name === name);
    if (other !== undefined && job)
      throw file.fault([...job.path, 'output'], `job "${other}" writes the same`);
    outputs.set(output, name);
  }
  return plans;
}

async function planJob(planner: Planner, job: FileJob): Promise<PlannedJob> {
  const { file, area, minIsolation } = planner;
  const { text, path } = job;
  const at = (...keys: readonly (string | number)[]) => [...path, ...keys];
  const uploads: Upload[] = [];
  const code = await codeOf(planner, job, uploads);
  const inputs: PlannedJob['inputs'][number][] = [];
  for (const { name, source } of job.inputs)
    inputs.push({ name, ...(await inputOf(planner, source, at('inputs', name), uploads)) });
  const tasks = await tasksOf(planner, job, uploads);
  const limits = limitsOf(job);
  const metering = meteringOf(job, code.kind, file);
  const { weights, placement, params, tier, resources = {} } = text;
  const terms = { ...placement, ...(weights && { weights }) };
  const description = {
    ...{ name: text.name ?? job.name, code: code.cid, kind: code.kind, limits },
    minIsolation: text.minIsolation ?? minIsolation,
    ...(metering && { metering }),
    ...(Object.keys(terms).length > 0 && { placement: terms as JobDescription['placement'] }),
    ...(params !== undefined && { params }),
    ...(tier && { tier }),
    ...(resources.cores !== undefined && { cores: resources.cores }),
    ...(resources.diskMiB !== undefined && { diskBytes: resources.diskMiB * MIB }),
    ...tasks.terms,
  } as JobDescription;
  const output = await outputOf(planner, job, area);
  return {
    ...{ name: job.name, parents: job.parents, description, inputs, uploads },
    ...termsOf(planner, job),
    ...output,
    ...(text.webhook !== undefined && { webhook: text.webhook }),
    units: unitsOf(description),
    isMany: tasks.terms.tasks !== undefined,
    ...(tasks.eachOf && { eachOf: tasks.eachOf }),
    manifest(orders) {
      const orderOf = (job: string) => orders.get(job) as string;
      const known = inputs.flatMap((input) => ('job' in input ? [] : [input]));
      const from = inputs.flatMap((input) => {
        if (!('job' in input)) return [];
        const { name, job: maker, task } = input;
        return [{ name, order: orderOf(maker), ...(task !== undefined && { task }) }];
      });
      const { eachOf } = tasks;
      const taskInput = eachOf && { name: eachOf.name, order: orderOf(eachOf.job) };
      try {
        return describeJob({
          ...description,
          inputs: known,
          from,
          ...(taskInput && { taskInput }),
        });
      } catch (error) {
        throw isSeeleError(error) ? file.fault(path, error.message) : error;
      }
    },
  };
}

/** Those of tier C have replicas without saying so. */
function unitsOf({
  kind = 'js',
  tier = 'A',
  placement,
  tasks = 1,
  replicas,
}: JobDescription): number {
  const asked = asksForQuorum({ kind, tier, ...(placement && { placement }) });
  return tasks * (replicas ?? (asked ? QUORUM_TERMS.most : 1));
}

function noUai(planner: Planner, path: readonly PropertyKey[], uai: string): Error {
  return planner.file.fault(
    path,
    `${uai} cannot be given to a job: what a UAI names is encrypted for its readers and its CID is not public; fetch it (seele data fetch) and name the file`,
  );
}

async function codeOf(planner: Planner, { code, text, path }: FileJob, uploads: Upload[]) {
  const { file, area } = planner;
  const at = [...path, 'code'];
  const fail = (what: string) => file.fault(at, what);
  if ('uai' in code) throw noUai(planner, at, code.uai);
  if ('cid' in code) {
    await sizeOf(planner, code.cid, at);
    return { cid: code.cid, kind: text.kind ?? ('js' as JobKind) };
  }
  if (!('file' in code)) throw fail('a program is a file or a CID');
  const found = localFile(area, code.file, CODE_MAX_BYTES, fail);
  let program: ReturnType<typeof readProgram>;
  try {
    program = readProgram(found.path, text.kind);
  } catch (error) {
    throw isSeeleError(error) ? fail(error.message) : error;
  }
  const { cid } = await blobRef(program.code);
  uploads.push(async (store) => void (await store.put(program.code)));
  return { cid, kind: program.kind };
}

async function sizeOf({ store, file }: Planner, cid: string, at: readonly PropertyKey[]) {
  try {
    return await fileSize((id) => store().getBlock(id.toString()), parseCid(cid));
  } catch (error) {
    throw isSeeleError(error) && error.code.startsWith('STORAGE_')
      ? file.fault(at, `${cid} is not to be had: ${error.message}`)
      : error;
  }
}

/** A version of a dataset, in clear; its bytes leave this machine only with the upload. */
async function datasetOf(
  planner: Planner,
  source: UaiSource,
  at: readonly PropertyKey[],
  uploads: Upload[],
): Promise<BlobRef & { readonly dataset: string }> {
  const fail = (what: string) => planner.file.fault(at, what);
  const { pinned, open } = await planner.datasets(source, fail);
  const planned = await blobRef(await open());
  uploads.push(async (store) => {
    const { cid } = await store.put(await open());
    if (cid !== planned.cid) throw fail(`${pinned} changed while it was read`);
  });
  return { ...planned, dataset: pinned };
}

async function inputOf(
  planner: Planner,
  source: JobSource,
  at: readonly PropertyKey[],
  uploads: Upload[],
): Promise<
  (BlobRef & { readonly dataset?: string }) | { readonly job: string; readonly task?: number }
> {
  if ('job' in source) return source;
  if ('uai' in source) return datasetOf(planner, source, at, uploads);
  if ('cid' in source) return { cid: source.cid, sizeBytes: await sizeOf(planner, source.cid, at) };
  const fail = (what: string) => planner.file.fault(at, what);
  const found = localFile(planner.area, source.file, INPUT_MAX_BYTES, fail);
  const planned = await blobRef(contentOf(found));
  uploads.push(async (store) => {
    const { cid } = await store.put(contentOf(found));
    if (cid !== planned.cid) throw fail(`${source.file} changed while it was read`);
  });
  return planned;
}

interface Tasks {
  readonly terms: Pick<JobDescription, 'tasks' | 'taskInput' | 'replicas'>;
  readonly eachOf?: NonNullable<PlannedJob['eachOf']>;
}

async function tasksOf(planner: Planner, job: FileJob, uploads: Upload[]): Promise<Tasks> {
  const { text, path } = job;
  const { tasks, taskInput, replicas } = text;
  const { fault } = planner.file;
  const repeated = replicas === undefined ? {} : { replicas };
  if (taskInput === undefined)
    return { terms: { ...(tasks !== undefined && { tasks }), ...repeated } };
  const count = (given: number, what: string): number => {
    if (tasks !== undefined && tasks !== given)
      throw fault([...path, 'tasks'], `is ${tasks}, but ${what} ${given}`);
    return given;
  };
  if (taskInput.job !== undefined) {
    const maker = planner.plans.find(({ name }) => name === taskInput.job);
    const made = maker?.description.tasks;
    if (made === undefined)
      throw fault(
        [...path, 'taskInput', 'job'],
        `"${taskInput.job}" has one result: read it by inputs`,
      );
    const terms = { tasks: count(made, `job "${taskInput.job}" has`), ...repeated };
    return { terms, eachOf: { name: taskInput.name, job: taskInput.job } };
  }
  const refs = await listedInputs(planner, job, taskInput.each ?? [], uploads);
  const list = encodeTaskInputs(refs);
  const { cid } = await blobRef(list);
  uploads.push(async (store) => void (await store.put(list)));
  return {
    terms: {
      ...{ tasks: count(refs.length, 'taskInput has'), ...repeated },
      taskInput: { name: taskInput.name, list: cid },
    },
  };
}

async function listedInputs(
  planner: Planner,
  { path }: FileJob,
  each: readonly string[],
  uploads: Upload[],
): Promise<BlobRef[]> {
  const refs: BlobRef[] = [];
  for (const [i, given] of each.entries()) {
    const at = [...path, 'taskInput', 'each', i];
    const ref = await inputOf(planner, sourceOf(given), at, uploads);
    if ('cid' in ref) refs.push(ref);
  }
  return refs;
}

function limitsOf({ text: { limits = {} } }: FileJob): JobLimits {
  const preset = DEFAULT_JOB_LIMITS;
  const wallMs = limits.wallSeconds === undefined ? preset.wallMs : limits.wallSeconds * 1000;
  const mib = (value: number | undefined, otherwise: number) =>
    value === undefined ? otherwise : value * MIB;
  return {
    ...preset,
    wallMs,
    cpuMs: limits.cpuSeconds === undefined ? wallMs : limits.cpuSeconds * 1000,
    memoryBytes: mib(limits.memoryMiB, preset.memoryBytes),
    outputBytes: mib(limits.outputMiB, preset.outputBytes),
    logLines: limits.logLines ?? preset.logLines,
    hostCalls: limits.hostCalls ?? preset.hostCalls,
  };
}

function meteringOf(
  { text: { metering }, path }: FileJob,
  kind: JobKind,
  { fault }: JobFile,
): Metering | undefined {
  if (!metering) return undefined;
  if (kind === 'js')
    throw fault([...path, 'metering'], 'is for kind wasm or verifiable, this job is js');
  const { fuel, checkpointFuel, clock } = metering;
  return {
    fuel: fuel === undefined ? DEFAULT_JOB_FUEL : BigInt(fuel),
    ...(checkpointFuel !== undefined && { checkpointFuel: BigInt(checkpointFuel) }),
    ...(clock !== undefined && { epochMs: Date.parse(clock) }),
  };
}

function termsOf({ file: { fault }, nowMs }: Planner, { text, path }: FileJob) {
  const { completeBy, withinSeconds, priceCap } = text;
  if (completeBy !== undefined && withinSeconds !== undefined)
    throw fault([...path, 'withinSeconds'], 'say either completeBy or withinSeconds');
  const completeByMs = completeBy === undefined ? undefined : Date.parse(completeBy);
  if (completeByMs !== undefined && completeByMs <= nowMs)
    throw fault([...path, 'completeBy'], `${completeBy} has passed`);
  return {
    withinMs: withinSeconds === undefined ? WITHIN_PRESET_MS : withinSeconds * 1000,
    ...(completeByMs !== undefined && { completeByMs }),
    ...(priceCap !== undefined && { priceCap: amountOf(priceCap, fault, path) }),
  };
}

function amountOf(given: string | number, fault: JobFile['fault'], path: readonly PropertyKey[]) {
  try {
    const amount = parseAmount(String(given));
    if (amount > 0n) return amount;
  } catch {
    // Said below.
  }
  throw fault([...path, 'priceCap'], 'must be an amount above 0 like 0.25, nine decimals at most');
}

async function outputOf(
  planner: Planner,
  { text, path }: FileJob,
  area: FileArea,
): Promise<Pick<PlannedJob, 'output' | 'target'>> {
  const { output, tasks, taskInput } = text;
  const isArray = tasks !== undefined || taskInput !== undefined;
  if (output === undefined) return {};
  const fail = (what: string) => planner.file.fault([...path, 'output'], what);
  const given = typeof output === 'string' ? sourceOf(output) : output;
  if ('file' in given)
    return { output: outputFile(area, given.file, isArray ? 'folder' : 'file', fail) };
  if ('uai' in given) return { target: resultTarget(given.uai, await planner.ownData(), fail) };
  throw fail('a result goes to a file or a UAI of yours, not to a CID');
}
