/**
 * Verification: how a result is believed. Pure rules; the market's reducer asks them and the
 * simulation runs them. docs/verification.md says what each tier gives.
 */
export * from './collusion.ts';
export * from './quorum.ts';
export * from './audit.ts';
export * from './regime.ts';
export * from './stake.ts';
export * from './terms.ts';
export * from './trust.ts';
