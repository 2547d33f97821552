/**
 * What was ordered for a job file, kept in the home before the market hears of it: a command that was
 * killed goes on with `--resume` and orders nothing a second time.
 */
import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { ArrayTerms } from '#contracts';
import { sha256Hex } from '#libs/crypto';
import { utf8 } from '#libs/kernel';
import { makeDirectory } from '#libs/platform';
import { cliError } from '../errors.ts';
import { readJsonFile, replaceFile } from '../frame/files.ts';
import type { Home } from '../frame/home.ts';

/** Everything that makes the order the same order when it is signed again. */
export interface OrderedJob {
  readonly manifest: string;
  readonly salt: string;
  readonly nowUs: number;
  /** Smallest units, decimal. */
  readonly priceCap: string;
  readonly placeWithinMs: number;
  readonly completeWithinMs: number;
  readonly array?: Omit<ArrayTerms, 'unitPrice'> & { readonly unitPrice: string };
  /** `signed` of the quote that its cap comes from. */
  readonly quote?: string;
  /** Follows from the rest. */
  readonly order: string;
}

interface StateDocument {
  readonly version: 1;
  readonly file: string;
  /** Of everything that is ordered: another one is another run. */
  readonly plan: string;
  readonly startedAt: string;
  readonly isDone: boolean;
  /** The market has taken all of them. */
  readonly isAccepted: boolean;
  readonly jobs: Readonly<Record<string, OrderedJob>>;
}

export interface RunState {
  readonly path: string;
  /** A run that was begun before goes on. */
  readonly isResumed: boolean;
  /** The market has taken what was kept. */
  readonly isAccepted: boolean;
  ordered(job: string): OrderedJob | undefined;
  /** All of a graph at once; kept when this returns. */
  keep(jobs: ReadonlyMap<string, OrderedJob>): void;
  accepted(): void;
  /** All that can be ordered is ordered and, where the command waits for it, has ended. */
  finish(): void;
  close(): void;
}

export interface RunStateOptions {
  readonly home: Home;
  /** Real path of the job file. */
  readonly file: string;
  readonly account: string;
  readonly chain: string;
  /** Hash of everything that is ordered. */
  readonly plan: string;
  readonly mode: 'new' | 'resume' | 'again';
  readonly nowMs: number;
}

/** @throws CLI_JOB_RUN when another run of the file is unfinished, changed, or has it open */
export function openRunState(options: RunStateOptions): RunState {
  const { home, file, account, chain, plan, mode, nowMs } = options;
  const folder = home.data('jobs');
  makeDirectory(folder, 0o700);
  const key = sha256Hex(utf8(JSON.stringify([file, account, chain]))).slice(0, 32);
  const path = join(folder, `${key}.json`);
  const release = lock(`${path}.lock`, file);
  try {
    let state = chosen(readJsonFile<StateDocument>(path), { file, plan, mode, nowMs });
    const write = () => replaceFile(path, `${JSON.stringify(state)}\n`);
    write();
    const isResumed = Object.keys(state.jobs).length > 0;
    return {
      ...{ path, isResumed },
      get isAccepted() {
        return state.isAccepted;
      },
      ordered: (job) => (Object.hasOwn(state.jobs, job) ? state.jobs[job] : undefined),
      keep(jobs) {
        state = { ...state, jobs: Object.fromEntries(jobs), isAccepted: false };
        write();
      },
      accepted() {
        state = { ...state, isAccepted: true };
        write();
      },
      finish() {
        state = { ...state, isDone: true };
        write();
      },
      close: release,
    };
  } catch (error) {
    release();
    throw error;
  }
}

type Choice = Pick<RunStateOptions, 'file' | 'plan' | 'mode' | 'nowMs'>;

function chosen(
  before: StateDocument | undefined,
  { file, plan, mode, nowMs }: Choice,
): StateDocument {
  const startedAt = new Date(nowMs).toISOString();
  const fresh: StateDocument = {
    ...{ version: 1, file, plan, startedAt, isDone: false, isAccepted: false, jobs: {} },
  };
  const isOpen = before && !before.isDone && Object.keys(before.jobs).length > 0;
  if (mode === 'again' || !before || (mode === 'new' && !isOpen)) return fresh;
  // The same jobs again are the run that is there, not a second one.
  if (before.plan === plan || Object.keys(before.jobs).length === 0) return { ...before, plan };
  const when = `the run of ${before.startedAt}`;
  throw cliError(
    'CLI_JOB_RUN',
    mode === 'new'
      ? `${file}, its programs or its inputs changed since ${when}, which is not finished: --again orders anew`
      : `${file}, its programs or its inputs changed since ${when}`,
  );
}

/** One command at a time: two would order the same jobs under different salts. */
function lock(path: string, file: string): () => void {
  for (let attempt = 0; ; attempt++) {
    try {
      const handle = openSync(path, 'wx', 0o600);
      writeSync(handle, String(process.pid));
      closeSync(handle);
      return () => rmSync(path, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const holder = holderOf(path);
    if (attempt > 3 || (holder !== undefined && isAlive(holder)))
      throw cliError('CLI_JOB_RUN', `process ${holder ?? '?'} is running ${file} now`);
    rmSync(path, { force: true });
  }
}

function holderOf(path: string): number | undefined {
  try {
    const pid = Number(readFileSync(path, 'utf8'));
    return Number.isSafeInteger(pid) && pid > 0 ? pid : undefined;
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  if (pid === process.pid) return true;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
