/** The quorum that orders get which ask for safety without saying how. */
import type { QuorumTerms } from './collusion.ts';

/** Two that agree; a fourth and fifth answer are asked for only when liars contradict each other too. */
export const QUORUM_TERMS: QuorumTerms = { quorum: 2, most: 5 };
