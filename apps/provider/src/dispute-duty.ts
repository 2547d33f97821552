/** What this provider stands for: its bond on the chain, and its part in disputes and their panels. */
import { setTimeout as delay } from 'node:timers/promises';
import { DISPUTES_CONTRACT, bondRecord, disputesCalls, disputesKeys } from '#contracts';
import type { Signer } from '#libs/crypto';
import { type ChainSender, createChainSender } from '#libs/deals';
import { type Clock, decodeWith } from '#libs/kernel';
import {
  type DisputeKeeper,
  type JobRun,
  type Logger,
  type NodeClient,
  startDisputeKeeper,
} from '#libs/platform';
import type { BlobStore } from '#libs/storage';
import { providerError } from './errors.ts';
import type { ProviderSettings } from './settings.ts';

const RETRY_FIRST_MS = 1_000;
const RETRY_MAX_MS = 60_000;

export interface DisputeDutyParts {
  readonly signer: Signer;
  readonly node: NodeClient;
  readonly blobs: BlobStore;
  readonly clock: Clock;
  readonly logger: Logger;
  /** For tests: what a liar shows. */
  readonly tamper?: ((run: JobRun) => JobRun) | undefined;
}

async function must(sender: ChainSender, call: Parameters<ChainSender['send']>[0][0][0]) {
  const [outcome] = await sender.send([[call]]);
  if (outcome?.ok === false)
    throw providerError('PROVIDER_OFFER_REFUSED', `${outcome.code}: ${outcome.message}`);
}

/** Puts down what is missing of the bond. */
async function keepBond(
  { signer, node, logger }: DisputeDutyParts,
  sender: ChainSender,
  wanted: bigint,
  signal: AbortSignal,
): Promise<void> {
  for (let waitMs = RETRY_FIRST_MS; !signal.aborted; waitMs = Math.min(waitMs * 2, RETRY_MAX_MS)) {
    try {
      const stored = await node.state(DISPUTES_CONTRACT, disputesKeys.bond(signer.account));
      const bonded = stored === undefined ? 0n : decodeWith(bondRecord, stored).bonded;
      if (bonded >= wanted) return;
      await must(sender, disputesCalls.bond({ amount: wanted - bonded }));
      return logger.info({ bonded: wanted.toString() }, 'bonded on the chain');
    } catch (error) {
      const level = waitMs === RETRY_FIRST_MS ? 'warn' : 'debug';
      logger[level]({ err: error }, 'the bond is not put down yet; trying again');
    }
    await delay(waitMs, undefined, { signal, ref: false }).catch(() => {});
  }
}

/** Starts both; ends with `stop`. */
export function startDisputeDuty(
  { bond, disputesEveryMs }: Pick<ProviderSettings, 'bond' | 'disputesEveryMs'>,
  parts: DisputeDutyParts,
): DisputeKeeper {
  const { signer, node, blobs, clock, logger, tamper } = parts;
  const sender = createChainSender(node, signer, clock);
  const ending = new AbortController();
  if (bond > 0n) void keepBond(parts, sender, bond, ending.signal);
  const keeper = startDisputeKeeper({
    ...{ node, signer, blobs, clock, logger, everyMs: disputesEveryMs },
    ...(tamper && { tamper }),
    submit: (_key, call) => must(sender, call),
  });
  return {
    ...keeper,
    stop() {
      ending.abort();
      keeper.stop();
    },
  };
}
