/** What contract `disputes` reports; reputation follows from `decided` and `convicted`. */
import { hash32, oneOf, optional, record, u64, uint } from '#libs/kernel';
import { defineEvent } from '../contract-kit.ts';

export const DISPUTES_CONTRACT = 'disputes';

export const RULINGS = ['defender', 'challenger', 'neither', 'undecided'] as const;
/** Whose claim the repetition bears out. */
export const ruling = oneOf(...RULINGS);
export type DisputeRuling = (typeof RULINGS)[number];

const amount = record({ account: hash32, amount: u64 });
const inDispute = { dispute: hash32, order: hash32, defender: hash32, challenger: hash32 };

export const disputesEvents = {
  bonded: defineEvent(DISPUTES_CONTRACT, 'bonded', amount),
  unbonding: defineEvent(DISPUTES_CONTRACT, 'unbonding', amount),
  withdrawn: defineEvent(DISPUTES_CONTRACT, 'withdrawn', amount),
  slashed: defineEvent(DISPUTES_CONTRACT, 'slashed', amount),
  opened: defineEvent(DISPUTES_CONTRACT, 'opened', record({ ...inDispute, bond: u64 })),
  /** Both showed the checkpoint at `index`; the first difference is now in [agreed, open]. */
  narrowed: defineEvent(
    DISPUTES_CONTRACT,
    'narrowed',
    record({ dispute: hash32, index: uint(), agreed: uint(), open: uint() }),
  ),
  /** The first difference is found; these operators repeat the job up to there. */
  drawn: defineEvent(
    DISPUTES_CONTRACT,
    'drawn',
    record({ dispute: hash32, index: uint(), panel: uint() }),
  ),
  /** Two others came to the same, and this delivery's provider to something else; `fence` names a batch. */
  convicted: defineEvent(
    DISPUTES_CONTRACT,
    'convicted',
    record({
      ...{ order: hash32, market: hash32, provider: hash32, slashed: u64, toConsumer: u64 },
      fence: optional(uint()),
    }),
  ),
  decided: defineEvent(
    DISPUTES_CONTRACT,
    'decided',
    record({
      ...inDispute,
      ruling,
      slashed: u64,
      toConsumer: u64,
      toChallenger: u64,
      toPanel: u64,
    }),
  ),
};
