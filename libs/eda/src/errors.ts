/** Failures of consensus settings and of what peers send. */
import { defineErrors } from '#libs/kernel';

export const edaError = defineErrors({
  EDA_SET_INVALID: {
    status: 400,
    title: 'Validator set cannot be used',
    fix: 'Give 1 to 4096 validators, each with its own key and a whole weight of at least 1.',
  },
  EDA_PROFILE_INVALID: {
    status: 400,
    title: 'Unknown profile or weight',
    fix: 'Use classic, seele-40, resilient-45 or crash-only and a whole total weight of at least 1.',
  },
  EDA_PARAMETER_INVALID: {
    status: 400,
    title: 'Consensus parameter out of range',
    fix: 'Read docs/consensus.md for the range of each parameter.',
  },
  EDA_CERTIFICATE_INVALID: {
    status: 400,
    title: 'Cut is not final',
    fix: 'Ask another node; the certificate needs weight Q of the set that voted in its era.',
  },
  EDA_BLS_INVALID: {
    status: 400,
    title: 'Not a usable BLS key or signature',
    fix: 'Use 32 secret bytes or more; public keys are 48 bytes, signatures 96, in the right subgroup.',
  },
  EDA_MESSAGE_TOO_LARGE: {
    status: 413,
    title: 'Consensus message too large',
    fix: 'Messages hold at most 4096 entries; split what is larger.',
  },
});
