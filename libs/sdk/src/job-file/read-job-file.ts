/**
 * Reads a job file (YAML 1.2 or JSON). What is wrong with it is said in one line with line and column;
 * nothing is looked up: files, CIDs and names are the caller's.
 */
import { type Document, LineCounter, type Node, isMap, isNode, parseDocument } from 'yaml';
import { z } from 'zod';
import { sdkError } from '../errors.ts';
import { orderJobs } from './job-graph.ts';
import { nearestWord } from './nearest.ts';
import { type FileJobText, fileJob, fileOfJobs } from './schema.ts';

export const JOB_FILE_MAX_BYTES = 256 * 1024;
/** More than this many uses of anchors are taken for an attack. */
const ALIASES_MAX = 100;
/** What aliases may blow the file up to, as JSON. */
const EXPANDED_MAX_CHARS = 4 * 2 ** 20;

/** A dataset. */
export interface UaiSource {
  readonly uai: string;
  /** The newest that is recorded where nothing is said. */
  readonly version?: string | undefined;
  /** A file of a folder. */
  readonly path?: string | undefined;
  /** File with the grant of its owner. */
  readonly grant?: string | undefined;
  /** Whoever runs the job may read it. */
  readonly disclose?: 'provider' | undefined;
}

export type JobSource =
  | { readonly file: string }
  | { readonly cid: string }
  | UaiSource
  | { readonly job: string; readonly task?: number };

/** Where something stands in the file: keys from the top. */
export type JobPath = readonly PropertyKey[];

export interface FileJob {
  /** Its key under `jobs`, or what the only job is called. */
  readonly name: string;
  readonly text: FileJobText;
  readonly code: JobSource;
  readonly inputs: readonly { readonly name: string; readonly source: JobSource }[];
  /** Names of the jobs whose results it reads, each once. */
  readonly parents: readonly string[];
  readonly path: JobPath;
}

export interface JobFile {
  /** Parents before the jobs that read their results. */
  readonly jobs: readonly FileJob[];
  /** True when the file has `jobs`, false when it is one job. */
  readonly isSet: boolean;
  /** An error that names file, line and column of that place. */
  fault(path: JobPath, what: string): Error;
}

const CID = /^(baf[a-z2-7]{20,}|Qm[1-9A-HJ-NP-Za-km-z]{44})$/;

type SourceText =
  | Exclude<JobSource, { job: string }>
  | { readonly job: string; readonly task?: number | undefined };

/** A text as what it looks like. */
export function sourceOf(given: string | SourceText): JobSource {
  if (typeof given !== 'string') {
    if (!('job' in given)) return given;
    const { job, task } = given;
    return { job, ...(task !== undefined && { task }) };
  }
  if (given.startsWith('chain://')) return { uai: given };
  return CID.test(given) ? { cid: given } : { file: given };
}

/**
 * @param name - what the file is called in messages
 * @throws SDK_JOB_FILE
 */
export function readJobFile(text: string, name: string): JobFile {
  const lines = new LineCounter();
  const document = parsed(text, name, lines);
  const value = plainValue(document, name);
  const fault = (path: JobPath, what: string) =>
    jobFileError(`${name}${placeOf(document, lines, path)}`, path, what);
  if (value === null || typeof value !== 'object' || Array.isArray(value))
    throw fault([], 'is not a job: write `code: FILE`, or `jobs:` with jobs below it');
  const isSet = Object.hasOwn(value, 'jobs');
  const schema = isSet ? fileOfJobs : fileJob;
  const read = schema.safeParse(value);
  if (!read.success) {
    // A misspelt key is why another one is missing: it is said first.
    const { issues } = read.error;
    const misspelt = issues.find(({ code }) => code === 'unrecognized_keys');
    throw faultOf(misspelt ?? issues[0], schema, fault);
  }
  const texts = isSet
    ? Object.entries((read.data as z.infer<typeof fileOfJobs>).jobs)
    : [['job', read.data as FileJobText] as const];
  const jobs = texts.map(([key, job]) => jobOf(key, job, isSet ? ['jobs', key] : []));
  return { jobs: inOrder(jobs, fault), isSet, fault };
}

function jobOf(name: string, text: FileJobText, path: JobPath): FileJob {
  const inputs = Object.entries(text.inputs ?? {}).map(([key, given]) => ({
    name: key,
    source: sourceOf(given),
  }));
  const parents = new Set(inputs.flatMap(({ source }) => ('job' in source ? [source.job] : [])));
  if (text.taskInput?.job !== undefined) parents.add(text.taskInput.job);
  return { name, text, code: sourceOf(text.code), inputs, parents: [...parents], path };
}

/** Every job that one reads, and where it says so. */
function readsOf({ inputs, text }: FileJob): { readonly name: string; readonly at: JobPath }[] {
  const each = text.taskInput?.job;
  return [
    ...inputs.flatMap(({ name, source }) =>
      'job' in source ? [{ name: source.job, at: ['inputs', name] }] : [],
    ),
    ...(each === undefined ? [] : [{ name: each, at: ['taskInput', 'job'] }]),
  ];
}

function inOrder(jobs: readonly FileJob[], fault: JobFile['fault']): readonly FileJob[] {
  const names = jobs.map(({ name }) => name);
  for (const job of jobs)
    for (const { name, at } of readsOf(job))
      if (!names.includes(name))
        throw fault(
          [...job.path, ...at],
          `there is no job "${name}" in this file${meant(name, names)}`,
        );
  const order = orderJobs(jobs);
  if ('ordered' in order) return order.ordered;
  const [first] = order.cycle;
  throw fault(
    jobs.find((job) => job.name === first)?.path ?? [],
    `jobs wait for each other: ${[...order.cycle, first].join(' → ')} (each reads the next one’s result)`,
  );
}

function meant(given: string, known: readonly string[]): string {
  const word = nearestWord(given, known);
  return word === undefined ? `; known: ${known.slice(0, 12).join(', ')}` : `; "${word}"?`;
}

function jobFileError(where: string, path: JobPath, what: string): Error {
  const shown = path.map(String).join('.');
  return sdkError('SDK_JOB_FILE', `${where} ${shown === '' ? '' : `${shown}: `}${what}`);
}

function parsed(text: string, name: string, lineCounter: LineCounter): Document {
  if (Buffer.byteLength(text) > JOB_FILE_MAX_BYTES)
    throw jobFileError(name, [], `is longer than ${JOB_FILE_MAX_BYTES} bytes`);
  let document: Document;
  try {
    document = parseDocument(text, { version: '1.2', schema: 'core', lineCounter });
  } catch (cause) {
    // The reader recurses: some ten thousand brackets exhaust its stack.
    const what = cause instanceof RangeError ? 'nested too deeply' : String(cause);
    throw jobFileError(name, [], `is not YAML: ${what}`);
  }
  const [problem] = [...document.errors, ...document.warnings];
  if (!problem) return document;
  const { line, col } = lineCounter.linePos(problem.pos[0]);
  const words = problem.message
    .split('\n')[0]
    ?.replace(/ at line \d+, column \d+:?$/, '')
    .replace('Maximum call stack size exceeded', 'nested too deeply');
  throw jobFileError(`${name}:${line}:${col}`, [], `is not YAML: ${words}`);
}

function plainValue(document: Document, name: string): unknown {
  try {
    const value: unknown = document.toJS({ maxAliasCount: ALIASES_MAX });
    if ((JSON.stringify(value) ?? '').length <= EXPANDED_MAX_CHARS) return value;
  } catch (cause) {
    if (!(cause instanceof ReferenceError)) {
      const what = cause instanceof RangeError ? 'nested too deeply' : String(cause);
      throw jobFileError(name, [], `cannot be read: ${what}`);
    }
  }
  throw jobFileError(name, [], 'its anchors (&, *) unfold to too much: write it out');
}

/** `:line:column` of a place, or of the nearest thing around it. */
function placeOf(document: Document, lines: LineCounter, path: JobPath): string {
  let node: unknown = document.contents;
  let start = startOf(node);
  for (const key of path) {
    if (!isMap(node)) {
      node = isNode(node)
        ? (node as { get?: (k: unknown, keep: boolean) => unknown }).get?.(key, true)
        : undefined;
      start = startOf(node) ?? start;
      continue;
    }
    const pair = node.items.find(({ key: found }) => String(found) === String(key));
    start = startOf(pair?.key) ?? start;
    node = pair?.value;
    if (isNode(node) && 'source' in node)
      node =
        (node as unknown as { resolve?: (d: Document) => unknown }).resolve?.(document) ?? node;
  }
  if (start === undefined) return '';
  const { line, col } = lines.linePos(start);
  return `:${line}:${col}`;
}

const startOf = (node: unknown): number | undefined =>
  isNode(node) ? ((node as Node).range?.[0] ?? undefined) : undefined;

type Issue = z.core.$ZodIssue;

function faultOf(issue: Issue | undefined, schema: z.ZodType, fault: JobFile['fault']): Error {
  if (!issue) return fault([], 'is not understood');
  if (issue.code !== 'unrecognized_keys') return fault(issue.path, wordsOf(issue));
  const [key = ''] = issue.keys;
  return fault(
    [...issue.path, key],
    `nothing of that name can stand here${meant(key, keysAt(schema, issue.path))}`,
  );
}

function wordsOf(issue: Issue): string {
  if (issue.code === 'invalid_key') return issue.issues[0]?.message ?? issue.message;
  if (issue.code === 'too_big' || issue.code === 'too_small') return boundWords(issue);
  const words = issue.message.replace(/^Invalid (input|option): /, '');
  return words.replace(/^expected /, 'must be ').replace(/, received undefined$/, ', is missing');
}

type Bound = Extract<Issue, { code: 'too_big' | 'too_small' }>;

function boundWords(issue: Bound): string {
  const [word, bound] =
    issue.code === 'too_big'
      ? (['most', issue.maximum] as const)
      : (['least', issue.minimum] as const);
  const what = { string: ' characters long', array: ' items long' }[issue.origin as string] ?? '';
  return `must be ${issue.inclusive === false ? `${word === 'most' ? 'below' : 'above'} ${bound}` : `at ${word} ${bound}`}${what}`;
}

/** The keys that are known at a place of the schema. */
function keysAt(schema: z.ZodType, path: JobPath): string[] {
  let at: unknown = schema;
  const bare = () => {
    while (at instanceof z.ZodOptional) at = at.unwrap();
  };
  for (const key of path) {
    bare();
    if (at instanceof z.ZodObject) at = (at.shape as Record<PropertyKey, unknown>)[key];
    else if (at instanceof z.ZodRecord) at = at.valueType;
    else if (at instanceof z.ZodArray) at = at.element;
    else return [];
  }
  bare();
  return at instanceof z.ZodObject ? Object.keys(at.shape as object) : [];
}
