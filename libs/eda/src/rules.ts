/**
 * The rules that keep the order safe and live, one switch each. They are always on; a simulation turns
 * one off at a time and must then see an invariant break (the mutants of `seele sim eda`).
 */
export interface EdaRules {
  /** A certificate needs weight Q. */
  readonly fullQuorum: boolean;
  /** NEWVIEW reports the highest lock. */
  readonly lockInNewView: boolean;
  /** No COMMIT for a view that was left. */
  readonly noCommitAfterNewView: boolean;
  /** A block is available when weight Q holds it (otherwise r + 1). */
  readonly availableByQuorum: boolean;
  /** A cut lists an author's blocks without gaps. */
  readonly contiguity: boolean;
  /** A block later than the last cut moves up to it (otherwise it has no place in any cut). */
  readonly lateBlocksMove: boolean;
  /** Votes go on until a block is final (otherwise they stop at local convergence). */
  readonly voteUntilFinal: boolean;
  /** A node's time stands still while it is cut off (otherwise it follows the wall clock). */
  readonly connectedTime: boolean;
  /** The cut's time decides the era (otherwise the local clock does). */
  readonly eraByCut: boolean;
  /** Views after the first make no local checks. */
  readonly derivedWithoutLocalChecks: boolean;
  /** Own votes of an unfinished slot are sent again. */
  readonly resend: boolean;
}

export const SOUND_RULES: EdaRules = {
  fullQuorum: true,
  lockInNewView: true,
  noCommitAfterNewView: true,
  availableByQuorum: true,
  contiguity: true,
  lateBlocksMove: true,
  voteUntilFinal: true,
  connectedTime: true,
  eraByCut: true,
  derivedWithoutLocalChecks: true,
  resend: true,
};
