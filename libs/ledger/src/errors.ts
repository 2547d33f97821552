/** What the ledger refuses, and why. */
import { defineErrors } from '#libs/kernel';

export const ledgerError = defineErrors({
  LEDGER_TRANSACTION_INVALID: {
    status: 400,
    title: 'Malformed transaction',
    fix: 'Build the transaction with the SDK of this version; the message names what is wrong.',
  },
  LEDGER_SIGNATURE_INVALID: {
    status: 401,
    title: 'Wrong signature',
    fix: 'Sign the body with the key whose public key the transaction carries.',
  },
  LEDGER_CHAIN_MISMATCH: {
    status: 409,
    title: 'Made for another chain',
    fix: 'Use the genesis id of the chain you are talking to.',
  },
  LEDGER_NONCE_USED: {
    status: 409,
    title: 'Nonce already used',
    fix: 'Ask the node for the account’s nonce; the earlier transaction may already be final.',
  },
  LEDGER_NONCE_GAP: {
    status: 409,
    title: 'Nonce gap',
    fix: 'Send the missing transactions first: nonces of an account follow each other.',
  },
  LEDGER_TRANSACTION_EXPIRED: {
    status: 410,
    title: 'Transaction expired',
    fix: 'Sign it again with a later end of its validity window.',
  },
  LEDGER_TRANSACTION_EARLY: {
    status: 425,
    title: 'Transaction not valid yet',
    fix: 'Send it when its validity window has begun.',
  },
  LEDGER_FUEL_LIMIT: {
    status: 400,
    title: 'Fuel limit out of range',
    fix: 'Ask for less fuel than the limit that the message names, or split the calls.',
  },
  LEDGER_FUEL_PRICE: {
    status: 402,
    title: 'Fuel price too low',
    fix: 'Offer at least the price that the message names, or try again when load has fallen.',
  },
  LEDGER_BALANCE_TOO_LOW: {
    status: 402,
    title: 'Balance does not cover the fee',
    fix: 'Fund the account, or lower the fuel limit or price.',
  },
  LEDGER_REPLACEMENT_UNDERPRICED: {
    status: 409,
    title: 'Another transaction waits with this nonce',
    fix: 'Offer a fuel price at least ten per cent higher to replace it.',
  },
  LEDGER_BLOCK_NOT_KEPT: {
    status: 410,
    title: 'Block is not on this node',
    fix: 'Ask a node that has executed the whole chain; this one has the blocks that the message names.',
  },
  LEDGER_POOL_ACCOUNT_FULL: {
    status: 429,
    title: 'Too many waiting transactions of one account',
    fix: 'Wait until some of them are final.',
  },
  LEDGER_POOL_FULL: {
    status: 503,
    title: 'Too many waiting transactions',
    fix: 'Try again later, or offer a higher fuel price.',
  },
  LEDGER_POOL_DROPPED: {
    status: 410,
    title: 'Transaction dropped from the waiting list',
    fix: 'Send it again: it was never executed.',
  },
  LEDGER_CONTRACT_UNKNOWN: {
    status: 404,
    title: 'No such contract or method',
    fix: 'See the list of contracts and methods in docs/contracts.md.',
  },
  LEDGER_CALL_DEPTH: {
    status: 400,
    title: 'Calls nested too deep',
    fix: 'Contracts may call each other at most sixteen levels deep.',
  },
  LEDGER_REENTRANT: {
    status: 400,
    title: 'Contract called while it was running',
    fix: 'A contract may not be re-entered.',
  },
  LEDGER_GUEST_TRAP: {
    status: 400,
    title: 'User contract broke a rule of the engine',
    fix: 'Run the call against a local engine (`seele contract test`) to see why: bad pointer, unreachable code, recursion too deep.',
  },
  LEDGER_CALL_VALUE: {
    status: 400,
    title: 'Money sent where none is taken',
    fix: 'Send money with calls to user contracts and accounts only; system contracts take it by their own methods.',
  },
  LEDGER_CALL_ARGS: {
    status: 400,
    title: 'Arguments of a user contract are not a list',
    fix: 'Encode the arguments as one canonical CBOR list.',
  },
  LEDGER_STATE_GROWTH: {
    status: 413,
    title: 'Transaction writes too much state',
    fix: 'Spread the writes over several transactions.',
  },
  LEDGER_VALUE_LIMIT: {
    status: 413,
    title: 'Key, value or event too large',
    fix: 'Keep keys within 256 bytes, values within 64 kB and events within 64 per transaction.',
  },
  LEDGER_OUT_OF_FUEL: {
    status: 402,
    title: 'Out of fuel',
    fix: 'Sign the transaction again with a higher fuel limit.',
  },
  LEDGER_CONTRACT_FAULT: {
    status: 500,
    title: 'Contract failed in a way that is not a result',
    fix: 'This is a defect in Seele: report it with the transaction id.',
  },
  LEDGER_BLOCK_INVALID: {
    status: 400,
    title: 'Block does not follow the rules',
    fix: 'Fetch the block again from another node.',
  },
  LEDGER_CERTIFICATE_INVALID: {
    status: 400,
    title: 'Header is not certified by this chain',
    fix: 'Check that the genesis is the one you trust, and fetch the proof again.',
  },
  LEDGER_PROOF_INVALID: {
    status: 400,
    title: 'State proof does not hold',
    fix: 'Fetch the proof again from a node you trust.',
  },
  LEDGER_GENESIS_INVALID: {
    status: 400,
    title: 'Genesis cannot be used',
    fix: 'Create the genesis anew; docs/ledger.md has the ranges of its parameters.',
  },
  LEDGER_PEER_INVALID: {
    status: 400,
    title: 'Malformed address of a validator',
    fix: 'Write host:port to listen on, and peers as publicKey@host:port separated by commas.',
  },
  LEDGER_DIVERGED: {
    status: 500,
    title: 'This node got another result than the others',
    fix: 'Check that it runs the same version as the others, then let it synchronise into an empty directory.',
  },
  LEDGER_BLOCK_FULL: {
    status: 503,
    title: 'Transaction does not fit the block',
    fix: 'It waits for the next one.',
  },
  LEDGER_GENESIS_MISMATCH: {
    status: 409,
    title: 'Data belongs to another chain',
    fix: 'Use the genesis this data directory was made with, or an empty data directory.',
  },
  LEDGER_DATA_CORRUPT: {
    status: 500,
    title: 'Stored chain data is damaged',
    fix: 'Restore the data directory from a backup, or delete it and synchronise again.',
  },
  LEDGER_NOT_FOUND: {
    status: 404,
    title: 'Not on this chain',
    fix: 'Check the id or height; a transaction may not be final yet.',
  },
  LEDGER_STOPPED: {
    status: 503,
    title: 'Ledger stopped after a storage error',
    fix: 'Restart the node: reopening decides whether the last block was stored.',
  },
});
