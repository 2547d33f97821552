/**
 * VTP: how things on the chains are named.
 *
 * Owns: the syntax of UAIs and of account names. Does not own: who a name belongs to (contract
 * `names`), where a chain is reached.
 *
 * @example
 * const uai = parseUai('chain://edu.pku.cs/alice/sales');
 * uai.chain; // ['edu', 'pku', 'cs']
 * formatUai(uai); // the same text again
 */
export * from './account-name.ts';
export * from './errors.ts';
export * from './uai.ts';
