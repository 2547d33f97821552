/**
 * Results as files: a receipt, or the result of a run here (`seele job replay --save FILE`), which is
 * JSON with fuel as decimal text. Images of a run are files of their own.
 */
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { readReceipt, verifyReceipt } from '#libs/audit';
import { type Bytes, decodeCbor, encodeCbor, isSeeleError } from '#libs/kernel';
import { type MeteredClaim, jobClaimOf, meteredClaimOf } from '#libs/market';
import type { Checkpoint, JobClaim, JobVerdict, ResumePoint } from '#libs/vm';
import { cliError } from '../errors.ts';
import { readUserFile, writeUserFile } from '../frame/files.ts';

/** A result that can stand against another of the same job. */
export interface StatedResult {
  readonly manifestCid: string;
  readonly claim: JobClaim;
  readonly result?: string;
  /** Checks of the receipt that failed; a result may be compared even so. */
  readonly doubts: readonly string[];
}

const fuel = z
  .string()
  .regex(/^\d{1,19}$/)
  .transform(BigInt);
const hash = z.string().regex(/^[0-9a-f]{64}$/);
const claimDocument = z.object({
  manifest: z.string(),
  exit: z.enum(['ok', 'guest-error', 'fuel-limit', 'output-limit', 'log-limit', 'host-call-limit']),
  result: z.string().optional(),
  fuel,
  outputChain: hash,
  outputBytes: z.int().min(0),
  checkpoints: z.array(z.object({ fuel, root: hash, resumable: z.boolean() })).max(4096),
});

export interface ReceiptClaim extends MeteredClaim {
  readonly doubts: readonly string[];
}

/** @throws AUDIT_RECEIPT_MALFORMED, MARKET_NOT_REPEATABLE */
export function claimOfReceipt(bytes: Bytes, trust: string | undefined): ReceiptClaim {
  const claim = meteredClaimOf(readReceipt(bytes));
  const failed = verifyReceipt(bytes, { trust }).checks.filter(({ ok }) => !ok);
  // Which chain is trusted does not matter to what a program computes.
  const doubts = failed.filter(({ name }) => name !== 'chain').map(({ words }) => words);
  return { ...claim, doubts };
}

/** Reads either form. @throws CLI_FILE, AUDIT_RECEIPT_MALFORMED, MARKET_NOT_REPEATABLE */
export function readStatedResult(path: string, trust: string | undefined): StatedResult {
  const bytes = readUserFile(path);
  if (bytes[0] !== 0x7b) {
    const { doubts, ...claim } = claimOfReceipt(bytes, trust);
    const { manifestCid, result } = claim;
    return {
      ...{ manifestCid, claim: jobClaimOf(claim), doubts },
      ...(result !== undefined && { result }),
    };
  }
  const parsed = claimDocument.safeParse(jsonOf(path, bytes));
  if (!parsed.success)
    throw cliError('CLI_FILE', `${path} is not a saved result: ${z.prettifyError(parsed.error)}`);
  const { manifest, exit, result, outputChain, outputBytes, checkpoints, ...rest } = parsed.data;
  const run = { outputChain, outputBytes, fuel: rest.fuel };
  return {
    manifestCid: manifest,
    claim: jobClaimOf({ exit, run, checkpoints }),
    ...(result !== undefined && { result }),
    doubts: [],
  };
}

function jsonOf(path: string, bytes: Bytes): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as unknown;
  } catch {
    throw cliError('CLI_FILE', `${path} is neither a receipt nor JSON`);
  }
}

export const checkpointDocument = ({ fuel: used, root, resumable }: Checkpoint) => ({
  fuel: used.toString(),
  root,
  resumable,
});

/** Writes a run's result for `--against`. @throws CLI_FILE */
export function saveResult(
  path: string,
  manifestCid: string,
  { exit, fuelUsed, io, checkpoints }: JobVerdict,
  result: string | undefined,
): void {
  const document = {
    ...{ manifest: manifestCid, exit, ...(result !== undefined && { result }) },
    ...{ fuel: fuelUsed.toString(), outputChain: io.outputChain, outputBytes: io.outputLength },
    checkpoints: checkpoints.map(checkpointDocument),
  };
  writeUserFile(path, `${JSON.stringify(document, undefined, 2)}\n`);
}

const IMAGE_SUFFIX = '.image';

/** @throws CLI_FILE */
export function saveImage(folder: string, { clock, io, ...point }: ResumePoint): void {
  mkdirSync(folder, { recursive: true });
  const name = `${String(point.index).padStart(4, '0')}${IMAGE_SUFFIX}`;
  writeUserFile(join(folder, name), encodeCbor({ ...point, clock: { ...clock }, io: { ...io } }));
}

/** Small integers come back as numbers. */
type StoredPoint = Omit<ResumePoint, 'clock'> & {
  readonly clock: Omit<ResumePoint['clock'], 'used'> & { readonly used: number | bigint };
};

/** Images in a folder; what cannot be read is left out, and what is forged is never used. */
export function readImages(folder: string): ResumePoint[] {
  // A run without images leaves no folder.
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder).filter((name) => name.endsWith(IMAGE_SUFFIX));
  return names.flatMap((name) => {
    try {
      const bytes = readUserFile(join(folder, name));
      const point = decodeCbor(bytes, { maxBytes: 2 ** 28 }) as unknown as StoredPoint;
      const { clock } = point;
      // A copy of its own: what a decoder gives begins anywhere, and memory is hashed by words.
      const memory = new Uint8Array(point.memory);
      return [{ ...point, memory, clock: { ...clock, used: BigInt(clock.used) } }];
    } catch (error) {
      if (isSeeleError(error) && error.code.startsWith('KERNEL_')) return [];
      throw error;
    }
  });
}
