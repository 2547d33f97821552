/** What a party of a dispute does next: pure, from the chain's record of it and a run of the job. */
import {
  type ContractCall,
  type DisputeRecord,
  type DisputedClaim,
  type Finding,
  disputedClaim,
  disputesCalls,
  findingCommitment,
} from '#contracts';
import { type AccountId, encodeWith, equalBytes } from '#libs/kernel';
import { checkpointProof } from '#libs/vm';
import type { JobRun } from '../replay/replay-job.ts';

export type DisputeRole = 'defender' | 'challenger' | 'panel';

/** What this account is in a dispute; undefined for whoever has no part in it. */
export function roleIn(dispute: DisputeRecord, account: AccountId): DisputeRole | undefined {
  if (dispute.defender === account) return 'defender';
  if (dispute.challenger === account) return 'challenger';
  return dispute.panel.some((member) => member.account === account) ? 'panel' : undefined;
}

export const isSameDisputedClaim = (a: DisputedClaim, b: DisputedClaim): boolean =>
  equalBytes(encodeWith(disputedClaim, a), encodeWith(disputedClaim, b));

/** Whose claim a run bears out. */
export function findingOf({ defence, challenge }: DisputeRecord, { claim }: JobRun): Finding {
  if (isSameDisputedClaim(claim, defence)) return 'defender';
  return isSameDisputedClaim(claim, challenge) ? 'challenger' : 'neither';
}

/** The checkpoint that both sides are asked for. */
export const middleOf = ({ agreed, open }: DisputeRecord): number => (agreed + open) >>> 1;

/** What is to be done, before it is known what the run comes to. */
export type DisputeDuty = 'show' | 'commit' | 'reveal' | 'timeout';

/** What the account owes the dispute at this time; undefined: nothing now. */
export function dutyOf(
  dispute: DisputeRecord,
  account: AccountId,
  nowUs: number,
): DisputeDuty | undefined {
  const { phase, shown, moveByUs } = dispute;
  const role = roleIn(dispute, account);
  if (!role || phase === 'decided') return undefined;
  if (nowUs >= moveByUs) return 'timeout';
  if (phase === 'bisect') return role !== 'panel' && !shown[role] ? 'show' : undefined;
  const seat = dispute.panel.find((member) => member.account === account);
  if (!seat) return undefined;
  if (phase === 'commit') return seat.commitment === undefined ? 'commit' : undefined;
  return seat.commitment !== undefined && seat.finding === undefined ? 'reveal' : undefined;
}

export interface MoveTerms {
  readonly id: string;
  readonly account: AccountId;
  /** 32 bytes, hex; the same for commitment and revelation, and known to nobody else. */
  readonly salt: string;
}

/** The call that does it; undefined when the run has no such checkpoint to show. */
export function moveFor(
  duty: Exclude<DisputeDuty, 'timeout'>,
  dispute: DisputeRecord,
  run: JobRun,
  { id, account, salt }: MoveTerms,
): ContractCall | undefined {
  if (duty === 'show') {
    const index = middleOf(dispute);
    const checkpoint = run.checkpoints[index];
    if (!checkpoint) return undefined;
    const proof = checkpointProof(run.checkpoints, index);
    return disputesCalls.show({ dispute: id, index, checkpoint, proof });
  }
  const finding = findingOf(dispute, run);
  if (duty === 'reveal') return disputesCalls.reveal({ dispute: id, finding, salt });
  const commitment = findingCommitment(id, account, finding, salt);
  return disputesCalls.commit({ dispute: id, commitment });
}
