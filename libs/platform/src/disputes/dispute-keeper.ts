/**
 * Plays an account's part in disputes by itself: shows checkpoints as defender or challenger, repeats the
 * job and says what it found as a member of a panel, ends what others let run out. Everything follows from
 * the chain and from running the job again, so a restart loses nothing.
 */
import {
  type ContractCall,
  DISPUTES_CONTRACT,
  type DisputeRecord,
  ORDERS_CONTRACT,
  bondRecord,
  disputeRecord,
  disputesCalls,
  disputesKeys,
  orderRecord,
  ordersKeys,
} from '#contracts';
import { type Signer, hashOf } from '#libs/crypto';
import { type Clock, bytesToHex, decodeWith, hexToBytes, isSeeleError, utf8 } from '#libs/kernel';
import type { BlobStore } from '#libs/storage';
import type { Logger } from '../logger.ts';
import type { NodeClient } from '../node-client.ts';
import { type JobRun, replayJob } from '../replay/replay-job.ts';
import { dutyOf, moveFor, roleIn } from './moves.ts';

const SALT_DOMAIN = 'seele/dispute-salt/1';
const RUNS_KEPT = 8;
const PREFIX_BYTES = utf8('dispute/').length;

export interface DisputeKeeperOptions {
  readonly node: Pick<NodeClient, 'state' | 'scan'>;
  readonly signer: Signer;
  readonly blobs: BlobStore;
  readonly logger: Logger;
  readonly clock: Pick<Clock, 'nowUs'>;
  /** How often the chain is looked at. */
  readonly everyMs: number;
  /** Sends a call; the key names the move, so that one under way is not sent twice. */
  readonly submit: (key: string, call: ContractCall) => Promise<void>;
  /** The account is a challenger: such disputes do not stand in its bond. */
  readonly isChallenger?: () => boolean;
  /** For tests: a provider that lies in disputes, too. */
  readonly tamper?: (run: JobRun) => JobRun;
}

export interface DisputeKeeper {
  /** Looks at the chain once and does what is owed now. */
  look(): Promise<void>;
  stop(): void;
}

/** Starts it; it looks from time to time until it is stopped. */
export function startDisputeKeeper(options: DisputeKeeperOptions): DisputeKeeper {
  const { everyMs, logger } = options;
  const stopped = new AbortController();
  const state: KeeperState = { runs: new Map(), isParty: true };
  let looking: Promise<void> | undefined;
  const look = (): Promise<void> => {
    looking ??= lookOnce(options, state, stopped.signal)
      .catch((error: unknown) => {
        if (!stopped.signal.aborted) logger.warn({ err: error }, 'disputes were not looked at');
      })
      .finally(() => {
        looking = undefined;
      });
    return looking;
  };
  const timer = setInterval(() => void look(), everyMs);
  timer.unref();
  return {
    look,
    stop() {
      clearInterval(timer);
      stopped.abort();
    },
  };
}

interface KeeperState {
  readonly runs: Map<string, Promise<JobRun>>;
  /** As far as is known; at first everything is looked at. */
  isParty: boolean;
}

async function lookOnce(
  options: DisputeKeeperOptions,
  state: KeeperState,
  signal: AbortSignal,
): Promise<void> {
  const { node, signer, isChallenger } = options;
  // The bond of whoever is defender or on a panel counts its open disputes: one look when there are none.
  const stored = await node.state(DISPUTES_CONTRACT, disputesKeys.bond(signer.account));
  const isCounted = stored !== undefined && decodeWith(bondRecord, stored).open > 0;
  if (!isCounted && !state.isParty && isChallenger?.() !== true) return;
  state.isParty = false;
  for await (const [key, value] of node.scan(DISPUTES_CONTRACT, disputesKeys.disputes)) {
    if (signal.aborted) return;
    const dispute = decodeWith(disputeRecord, value);
    if (dispute.phase === 'decided' || !roleIn(dispute, signer.account)) continue;
    state.isParty = true;
    await serve(options, state.runs, {
      id: bytesToHex(key.subarray(PREFIX_BYTES)),
      dispute,
      signal,
    });
  }
}

interface Served {
  readonly id: string;
  readonly dispute: DisputeRecord;
  readonly signal: AbortSignal;
}

async function serve(
  options: DisputeKeeperOptions,
  runs: Map<string, Promise<JobRun>>,
  { id, dispute, signal }: Served,
): Promise<void> {
  const { signer, logger, clock } = options;
  const { account } = signer;
  // An idle chain makes no blocks; the next one has the time of its making.
  const duty = dutyOf(dispute, account, clock.nowUs());
  if (!duty) return;
  const key = `${duty}/${id}/${dispute.agreed}/${dispute.open}/${dispute.phase}`;
  const { order, phase } = dispute;
  try {
    const call =
      duty === 'timeout'
        ? disputesCalls.timeout({ dispute: id })
        : moveFor(duty, dispute, await runOf(options, runs, order, signal), {
            ...{ id, account, salt: saltOf(signer, id) },
          });
    if (!call) return;
    await options.submit(key, call);
    logger.info({ dispute: id, order, duty, phase }, 'moved in a dispute');
  } catch (error) {
    if (signal.aborted) return;
    const code = isSeeleError(error) ? error.code : undefined;
    logger.warn({ err: error, code, dispute: id, duty }, 'no move in a dispute; trying again');
  }
}

/** Nobody else can compute it, and it need not be stored. */
const saltOf = (signer: Signer, id: string): string =>
  hashOf(SALT_DOMAIN, signer.sign(SALT_DOMAIN, hexToBytes(id) ?? new Uint8Array()));

/** The job of an order, run again once. */
function runOf(
  options: DisputeKeeperOptions,
  runs: Map<string, Promise<JobRun>>,
  order: string,
  signal: AbortSignal,
): Promise<JobRun> {
  const known = runs.get(order);
  if (known) return known;
  const run = replayOrder(options, order, signal);
  runs.set(order, run);
  // What failed is tried again.
  run.catch(() => runs.delete(order));
  if (runs.size > RUNS_KEPT) runs.delete(runs.keys().next().value as string);
  return run;
}

async function replayOrder(
  { node, blobs, tamper }: DisputeKeeperOptions,
  order: string,
  signal: AbortSignal,
): Promise<JobRun> {
  const stored = await node.state(ORDERS_CONTRACT, ordersKeys.order(order));
  if (stored === undefined) throw new Error(`the chain has no order ${order}`);
  const { manifest: cid } = decodeWith(orderRecord, stored).order;
  // Loaded when there is a dispute: every process that uses this library would load the market at its start.
  const { decodeManifest } = await import('#libs/market');
  const manifest = decodeManifest(await blobs.getBlock(cid, { signal }));
  const run = await replayJob(blobs, manifest, cid, signal);
  return tamper ? tamper(run) : run;
}
