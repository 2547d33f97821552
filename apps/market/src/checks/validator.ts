/**
 * A consumer's validator on one result: run in the metered engine of the market itself, with its own fuel, in
 * a thread that reaches nothing. It gets the result as input `result` beside the job's own inputs.
 */
import { type Bytes, utf8Decode } from '#libs/kernel';
import {
  DEFAULT_JOB_LIMITS,
  DEFAULT_VALIDATOR_FUEL,
  type Manifest,
  VALIDATED_RESULT,
  type ValidatorVerdict,
  meteredTermsOf,
} from '#libs/market';
import { type RunGround, runGround } from '#libs/platform';
import { type BlobStore, readBlob } from '#libs/storage';
import { jobProgramOf } from '#libs/vm';

const CODE_MAX_BYTES = 16 * 2 ** 20;
const VERDICT_MAX_BYTES = 4096;
const REASON_MAX = 300;
/** Fuel bounds what it computes, this what a loaded machine makes of it. */
const WALL_MS = 60_000;

/** Everything a validator runs on but the result. @throws STORAGE_…, VM_… */
export async function fetchValidator(
  store: BlobStore,
  manifest: Manifest,
  manifestCid: string,
): Promise<RunGround> {
  const { validator, inputs } = manifest;
  if (!validator) throw new Error('the manifest names no validator');
  const limits = { ...DEFAULT_JOB_LIMITS, outputBytes: VERDICT_MAX_BYTES };
  const terms = { fuel: validator.fuel ?? DEFAULT_VALIDATOR_FUEL };
  return {
    program: jobProgramOf(await readBlob(store, validator.code, { maxBytes: CODE_MAX_BYTES })),
    inputs: await Promise.all(
      inputs.map(async ({ name, cid, sizeBytes }) => ({
        name,
        bytes: await readBlob(store, cid, { maxBytes: sizeBytes }),
      })),
    ),
    params: validator.params,
    // Nobody disputes a verdict, so there are no checkpoints.
    terms: meteredTermsOf({ kind: 'wasm', limits, metering: terms }, manifestCid),
  };
}

/** With `task` among the params when the result is one of many. */
function paramsOf(params: string, task: number | undefined): string {
  if (task === undefined) return params;
  const value: unknown = JSON.parse(params);
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  return JSON.stringify(isObject ? { ...value, task } : { params: value, task });
}

export async function judgeResult(
  ground: RunGround,
  result: Bytes,
  signal: AbortSignal,
  task?: number,
): Promise<Exclude<ValidatorVerdict, { is: 'unavailable' }>> {
  const late = AbortSignal.timeout(WALL_MS);
  try {
    const { exit, parts } = await runGround(
      {
        ...ground,
        params: paramsOf(ground.params, task),
        // The result goes first: a WASI command reads it at descriptor 0.
        inputs: [{ name: VALIDATED_RESULT, bytes: result }, ...ground.inputs],
      },
      AbortSignal.any([signal, late]),
    );
    if (exit !== 'ok') return { is: 'broken', reason: `it ended as ${exit}` };
    return verdictIn(utf8Decode(Buffer.concat(parts)) ?? '');
  } catch (error) {
    if (signal.aborted) throw error;
    const reason = late.aborted ? `no verdict within ${WALL_MS} ms` : String(error);
    return { is: 'broken', reason: reason.slice(0, REASON_MAX) };
  }
}

/** `true` or `{"accept": true}` accepts; `false`, or `{"accept": false, "reason": …}`, rejects. */
export function verdictIn(text: string): Exclude<ValidatorVerdict, { is: 'unavailable' }> {
  let said: unknown;
  try {
    said = JSON.parse(text);
  } catch {
    said = undefined;
  }
  const isObject = typeof said === 'object' && said !== null;
  const { accept = said, reason } = (isObject ? said : {}) as {
    accept?: unknown;
    reason?: unknown;
  };
  if (accept === true) return { is: 'accepted' };
  if (accept !== false)
    return { is: 'broken', reason: `it said ${JSON.stringify(text.slice(0, 80))}` };
  const why = typeof reason === 'string' && reason !== '' ? reason : 'no reason given';
  return { is: 'rejected', reason: why.slice(0, REASON_MAX).toWellFormed() };
}
