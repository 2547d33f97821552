/** Failures of trees. */
import { defineErrors } from '#libs/kernel';

export const merkleError = defineErrors({
  MERKLE_RANGE: {
    status: 400,
    title: 'No such entry or size of the log',
    fix: 'Ask for an index below the size, and for a size that the log has reached.',
  },
  MERKLE_FRONTIER_INVALID: {
    status: 400,
    title: 'Malformed log frontier',
    fix: 'Restore it from the place that saved it; it holds one hash per one bit of its size.',
  },
  MERKLE_NODE_CORRUPT: {
    status: 500,
    title: 'State tree node is damaged or missing',
    fix: 'Stop the node, restore its data folder from a backup or let it sync again.',
  },
  MERKLE_KEY_INVALID: {
    status: 500,
    title: 'State tree keys and value hashes have 32 bytes',
    fix: 'This is a defect in the caller: hash keys and values before they enter the tree.',
  },
});
