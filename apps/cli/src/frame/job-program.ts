/** A job's program file: which kind it is, and its bytes as they go into storage. */
import { extname } from 'node:path';
import { type Bytes, isSeeleError, utf8, utf8Decode } from '#libs/kernel';
import { JOB_KINDS, type JobKind } from '#libs/market';
import { checkJobProgram, jobProgramOf } from '#libs/vm';
import { cliError } from '../errors.ts';
import { readUserFile } from './files.ts';
import { stripTypes } from './strip-types.ts';

export interface ProgramFile {
  readonly kind: JobKind;
  readonly code: Bytes;
}

const TYPESCRIPT = new Set(['.ts', '.mts']);

function kindOf(path: string, isModule: boolean, given: string | undefined): JobKind {
  if (given === undefined) return isModule || extname(path) === '.wasm' ? 'wasm' : 'js';
  const kind = JOB_KINDS.find((word) => word === given);
  if (kind === undefined)
    throw cliError('CLI_USAGE', `--kind is one of ${JOB_KINDS.join(', ')}, not "${given}"`);
  if (kind === 'js' && isModule)
    throw cliError('CLI_USAGE', `${path} is a WebAssembly module: --kind wasm or verifiable`);
  return kind;
}

/**
 * Reads a program; TypeScript loses its types. What the metered engine would refuse is refused here,
 * before anybody is paid for finding out.
 *
 * @throws CLI_FILE, CLI_USAGE, VM_MODULE_…, VM_SOURCE_LIMIT, VM_PROGRAM_INVALID
 */
export function readProgram(path: string, given: string | undefined): ProgramFile {
  const bytes = readUserFile(path);
  const isModule = jobProgramOf(bytes).kind === 'wasm';
  const kind = kindOf(path, isModule, given);
  const code = TYPESCRIPT.has(extname(path)) && !isModule ? stripped(path, bytes) : bytes;
  if (kind === 'wasm') checkJobProgram({ kind: 'wasm', code });
  if (kind === 'verifiable') checkJobProgram(jobProgramOf(code));
  return { kind, code };
}

function stripped(path: string, bytes: Bytes): Bytes {
  try {
    return utf8(stripTypes(utf8Decode(bytes)));
  } catch (cause) {
    const why = cause instanceof Error || isSeeleError(cause) ? cause.message : String(cause);
    throw cliError('CLI_FILE', `cannot read ${path} as TypeScript: ${why}`, { cause });
  }
}
