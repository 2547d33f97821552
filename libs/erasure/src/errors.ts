/** Failures of erasure coding. */
import { defineErrors } from '#libs/kernel';

export const erasureError = defineErrors({
  ERASURE_PARAMETERS: {
    status: 400,
    title: 'No such erasure code',
    fix: 'Use 1 to 128 data shards and 1 to 127 parity shards.',
  },
  ERASURE_SHARDS: {
    status: 400,
    title: 'Shards that do not belong together',
    fix: 'Give all shards in order, all of one length, and leave lost ones out as undefined.',
  },
  ERASURE_TOO_FEW: {
    status: 409,
    title: 'Too few shards to rebuild',
    fix: 'Find more shards: as many as the code has data shards are needed, any of them.',
  },
});
