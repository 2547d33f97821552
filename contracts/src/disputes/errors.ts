/** Refusals of the contracts `disputes` and `reputation`. */
export const DISPUTE_ERRORS = {
  DISPUTES_UNKNOWN: {
    status: 404,
    title: 'No such dispute',
    fix: 'Check the id of the dispute.',
  },
  DISPUTES_EXISTS: {
    status: 409,
    title: 'Disputed already',
    fix: 'One dispute per order and challenger; a delivery that was proven wrong needs no other.',
  },
  DISPUTES_SAME: {
    status: 400,
    title: 'Claims do not differ',
    fix: 'Run the job again (seele job replay); dispute only when you get something else.',
  },
  DISPUTES_NOT_REPEATABLE: {
    status: 409,
    title: 'Nothing that can be repeated',
    fix: 'Dispute the delivery of an order of kind verifiable while it counts.',
  },
  DISPUTES_NOT_COMPARABLE: {
    status: 409,
    title: 'Deliveries that cannot be compared',
    fix: 'Name three orders of one manifest, done by three providers, that ended by themselves.',
  },
  DISPUTES_NOT_PARTY: {
    status: 403,
    title: 'Not yours to do',
    fix: 'Only the two sides show checkpoints, only the panel says what it found.',
  },
  DISPUTES_PHASE: {
    status: 409,
    title: 'Not what the dispute waits for',
    fix: 'Read the dispute: phase, agreed and open say what comes next.',
  },
  DISPUTES_LATE: {
    status: 409,
    title: 'Time is over',
    fix: 'Move within the time of the dispute; anyone may call disputes.timeout now.',
  },
  DISPUTES_EARLY: {
    status: 409,
    title: 'Time is not over',
    fix: 'Call it once moveByUs has passed.',
  },
  DISPUTES_MOVED: {
    status: 409,
    title: 'Moved already',
    fix: 'Wait for the others, or for the time to be over.',
  },
  DISPUTES_PROOF: {
    status: 400,
    title: 'Not under the root that was signed',
    fix: 'Show the checkpoint or leaf of what was signed, with its proof and signature.',
  },
  DISPUTES_COMMITMENT: {
    status: 400,
    title: 'Not what was committed to',
    fix: 'Reveal the finding and salt of the commitment.',
  },
  DISPUTES_BOND_TOO_LOW: {
    status: 400,
    title: 'Bond too low',
    fix: 'Bond more than nothing; ask back no more than is bonded.',
  },
  DISPUTES_UNBONDINGS_FULL: {
    status: 409,
    title: 'Too many amounts are unbonding',
    fix: 'Take what is released, then ask again.',
  },
  DISPUTES_NOTHING_RELEASED: {
    status: 409,
    title: 'Nothing to take yet',
    fix: 'Wait until the unbonding time is over.',
  },
  DISPUTES_OPEN: {
    status: 409,
    title: 'A dispute is undecided',
    fix: 'Take the money once it is decided.',
  },
  REPUTATION_NOT_WRITER: {
    status: 403,
    title: 'Only contracts write reputation',
    fix: 'Reputation follows from settled orders and decided disputes; nobody states it.',
  },
} as const;
