/** Starts the extraction process, holds it to its limits, and takes what it says. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname, extname, join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { createInterface } from 'node:readline';
import { dataError } from '../errors.ts';
import { type ExtractionNews, type ExtractionRequest, NEWS_FD } from './extraction-protocol.ts';
import { finishProfile } from './finish-profile.ts';
import type { SourceProfile } from './source-profile.ts';

export interface ExtractionLimits {
  readonly timeoutMs: number;
  /** Of one file, and for each MB of it besides: a small file that its reader does not get through. */
  readonly fileMs: number;
  readonly fileMsPerMb: number;
  /** Resident memory of the process. */
  readonly memoryBytes: number;
}

export const EXTRACTION_LIMITS: ExtractionLimits = {
  timeoutMs: 20 * 60_000,
  fileMs: 30_000,
  fileMsPerMb: 1_000,
  memoryBytes: 1024 * 1024 * 1024,
};

const HEAP_MB = 512;
const WATCH_MS = 100;
const PAGE_BYTES = 4_096;
const STDERR_KEPT = 2_000;

/** The folder with package.json, in which the code and the packages lie. */
function codeRoot(): string {
  let at = import.meta.dirname;
  while (!existsSync(join(at, 'package.json'))) at = dirname(at);
  return at;
}

function command(request: ExtractionRequest): readonly string[] {
  const extension = extname(import.meta.filename);
  const worker = join(import.meta.dirname, `extraction-worker${extension}`);
  const root = codeRoot();
  const readable = [root, realpathSync(join(root, 'node_modules')), request.path];
  return [
    ...['--permission', `--max-old-space-size=${HEAP_MB}`, '--disable-warning=ExperimentalWarning'],
    ...new Set(readable.map((path) => `--allow-fs-read=${path}`)),
    ...(extension === '.ts' ? ['-C', 'source'] : []),
    ...[worker, JSON.stringify(request)],
  ];
}

function residentBytes(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * PAGE_BYTES;
  } catch {
    return 0;
  }
}

interface Running {
  readonly child: ChildProcess;
  /** It begins with a file now. */
  readonly at: (path: string) => void;
  /** Resolves when the process ended; tells why when it was ended. */
  readonly ended: Promise<string | undefined>;
}

function start(request: ExtractionRequest, limits: ExtractionLimits): Running {
  const child = spawn(process.execPath, command(request), {
    cwd: '/',
    // Nothing of ours: no passphrase, no token.
    env: { TZ: 'UTC' },
    stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
  });
  let why: string | undefined;
  let stderr = '';
  child.stderr?.on('data', (bytes: Buffer) => {
    if (stderr.length < STDERR_KEPT) stderr += bytes.toString('utf8');
  });
  child.stdin?.on('error', () => undefined);
  const stop = (reason: string): void => {
    why ??= reason;
    child.kill('SIGKILL');
  };
  const timer = setTimeout(
    () => stop(`it takes longer than ${limits.timeoutMs} ms`),
    limits.timeoutMs,
  );
  let fileTimer: NodeJS.Timeout | undefined;
  const at = (path: string): void => {
    clearTimeout(fileTimer);
    const stats = statSync(path, { throwIfNoEntry: false });
    const megabytes = stats?.isFile() ? stats.size / 1e6 : 0;
    const ms = Math.ceil(limits.fileMs + limits.fileMsPerMb * megabytes);
    if (stats?.isFile())
      fileTimer = setTimeout(() => stop(`its reader takes longer than ${ms} ms`), ms);
  };
  const watch = setInterval(() => {
    if (child.pid !== undefined && residentBytes(child.pid) > limits.memoryBytes)
      stop(`it needs more than ${limits.memoryBytes} bytes of memory`);
  }, WATCH_MS);
  const ended = new Promise<string | undefined>((resolve) => {
    const end = (reason: string | undefined): void => {
      clearTimeout(timer);
      clearTimeout(fileTimer);
      clearInterval(watch);
      resolve(why ?? reason);
    };
    child.once('error', (error) => end(error.message));
    child.once('close', (code, signal) =>
      end(
        code === 0
          ? undefined
          : /heap out of memory/.test(stderr)
            ? 'it needs more memory than is allowed'
            : `its reader ended with ${signal ?? code}: ${stderr.trim().split('\n').at(-1) ?? ''}`,
      ),
    );
  });
  return { child, at, ended };
}

function refusalOf({ code, message }: ExtractionNews & { is: 'refusal' }): Error {
  const known = code === 'DATA_BROKEN' || code === 'DATA_LIMIT' || code === 'DATA_SOURCE';
  return dataError(known ? code : 'DATA_EXTRACTION', message);
}

/**
 * @param names files of a folder, below its path
 * @throws DATA_BROKEN, DATA_LIMIT, DATA_EXTRACTION
 */
export async function profileInProcess(
  request: ExtractionRequest & { readonly is: 'profile' },
  names: readonly string[],
  limits: ExtractionLimits = EXTRACTION_LIMITS,
): Promise<SourceProfile> {
  const { child, at: begins, ended } = start(request, limits);
  (child.stdin as Writable).end(JSON.stringify(names));
  begins(request.path);
  child.stdout?.resume();
  let at = request.path;
  let last: ExtractionNews | undefined;
  const lines = createInterface({ input: child.stdio[NEWS_FD] as Readable });
  for await (const line of lines) {
    const news = JSON.parse(line) as ExtractionNews;
    if (news.is !== 'at') last = news;
    else begins(join(request.path, (at = news.name)));
  }
  const why = await ended;
  if (last?.is === 'profile' && why === undefined) return finishProfile(last.profile);
  if (last?.is === 'refusal') throw refusalOf(last);
  throw dataError('DATA_EXTRACTION', `${at}: ${why ?? 'its reader said nothing'}`);
}

/** The values of a column, one a line as JSON. @throws DATA_EXTRACTION, DATA_BROKEN */
export async function* columnValues(
  path: string,
  column: string,
  limits: ExtractionLimits = EXTRACTION_LIMITS,
): AsyncGenerator<Uint8Array> {
  const { child, ended } = start({ is: 'column', path, column }, limits);
  (child.stdin as Writable).end();
  let refusal: ExtractionNews | undefined;
  createInterface({ input: child.stdio[NEWS_FD] as Readable }).on('line', (line) => {
    refusal = JSON.parse(line) as ExtractionNews;
  });
  try {
    for await (const chunk of child.stdout as AsyncIterable<Buffer>) yield new Uint8Array(chunk);
    const why = await ended;
    if (refusal?.is === 'refusal') throw refusalOf(refusal);
    if (why !== undefined) throw dataError('DATA_EXTRACTION', `${path}: ${why}`);
  } finally {
    child.kill('SIGKILL');
  }
}
