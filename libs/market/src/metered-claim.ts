/**
 * What a receipt claims of a job that ran in the metered engine: enough to run it again and compare.
 * Whether the receipt itself holds is `verifyReceipt`'s to say.
 */
import { MARKET_ENTRIES, type ReceiptFile } from '#libs/audit';
import type { ExitClass, MeteredRun } from '#contracts';
import { type Bytes, decodeWith } from '#libs/kernel';
import { type Checkpoint, type JobClaim, NOTHING_RECORDED, checkpointsRoot } from '#libs/vm';
import { PROVIDER_ENTRIES } from './agent/entries.ts';
import { marketError } from './errors.ts';
import { type Manifest, decodeManifest } from './manifest.ts';

export interface MeteredClaim {
  /** With the inputs that other orders made among its inputs. */
  readonly manifest: Manifest;
  /** CID of the manifest; the job's randomness comes from it. */
  readonly manifestCid: string;
  readonly exit: ExitClass;
  /** CID of the output. */
  readonly result?: string;
  readonly run: MeteredRun;
  readonly checkpoints: readonly Checkpoint[];
}

const LEASED = 'leased';

/**
 * Reads the claim of the delivery that counts.
 *
 * @throws MARKET_NOT_REPEATABLE when there is none: another kind of job, no delivery, ended from
 *   outside; and when the log's checkpoints are not those that were signed
 */
export function meteredClaimOf(file: ReceiptFile): MeteredClaim {
  const manifest = decodeManifest(file.manifest);
  const delivery = file.delivery?.delivery;
  const refuse = (why: string) => marketError('MARKET_NOT_REPEATABLE', why);
  if (manifest.kind === 'js')
    throw refuse('a js job: only wasm and verifiable jobs give the same bytes everywhere');
  if (!delivery) throw refuse('nothing was delivered');
  if (!delivery.metered)
    throw refuse(`it ended as ${delivery.exit}, by a clock or a memory that other machines lack`);
  const checkpoints = statedCheckpoints(file);
  const { checkpointsRoot: root, checkpoints: count } = delivery.metered;
  if (checkpoints.length !== count || checkpointsRoot(checkpoints) !== root)
    throw refuse('the log does not hold the checkpoints that the provider signed');
  return {
    manifest: { ...manifest, inputs: [...manifest.inputs, ...madeInputsOf(file, manifest)] },
    manifestCid: file.order.order.manifest,
    exit: delivery.exit,
    ...(delivery.result !== undefined && { result: delivery.result }),
    ...{ run: delivery.metered, checkpoints },
  };
}

/** Inputs that other orders made, as the log has them, in the order of the manifest. */
function madeInputsOf({ batches }: ReceiptFile, { from = [] }: Manifest): Manifest['inputs'] {
  const made = new Map<string, Manifest['inputs'][number]>();
  for (const { entries } of batches)
    for (const { kind, data } of entries) {
      if (kind !== 'input') continue;
      const { name, cid, sizeBytes } = decodeWith(MARKET_ENTRIES.input, data);
      made.set(name, { name, cid, sizeBytes });
    }
  return from.map(({ name }) => {
    const input = made.get(name);
    if (input) return input;
    throw marketError('MARKET_NOT_REPEATABLE', `the log does not say what input ${name} was`);
  });
}

/** Checkpoints of the last attempt under the last lease. */
function statedCheckpoints({ batches }: ReceiptFile): Checkpoint[] {
  let stated: Checkpoint[] = [];
  for (const { entries } of batches)
    for (const { kind, data } of entries) {
      if (kind === LEASED || kind === 'retried') stated = [];
      if (kind === 'checkpoints') stated.push(...checkpointsIn(data, stated.length));
    }
  return stated;
}

function checkpointsIn(data: Bytes, expected: number): readonly Checkpoint[] {
  const { first, items } = decodeWith(PROVIDER_ENTRIES.checkpoints, data);
  if (first !== expected)
    throw marketError('MARKET_NOT_REPEATABLE', `checkpoint ${expected} is missing in the log`);
  return items;
}

/** The claim as the dispute of libs/vm compares it. */
export function jobClaimOf({
  exit,
  run,
  checkpoints,
}: Pick<MeteredClaim, 'exit' | 'checkpoints'> & {
  readonly run: Pick<MeteredRun, 'fuel' | 'outputChain' | 'outputBytes'>;
}): JobClaim {
  const { fuel: fuelUsed, outputChain, outputBytes: outputLength } = run;
  const io = { ...NOTHING_RECORDED, outputChain, outputLength };
  return { exit: exit as JobClaim['exit'], fuelUsed, io, checkpoints };
}
