/** What the market's process refuses or fails at, beyond the rules of `#libs/market`. */
import { defineErrors } from '#libs/kernel';

export const marketAppError = defineErrors({
  MARKET_DATABASE_UNREACHABLE: {
    status: 503,
    title: 'Database does not answer',
    fix: 'Check DATABASE_URL and that PostgreSQL (13 or later) runs; unset it to use the built-in one.',
  },
  MARKET_DATABASE_OWNED: {
    status: 500,
    title: 'Database belongs to another market',
    fix: 'Stop the other market process, or give this one a database of its own.',
  },
  MARKET_DATABASE_NEWER: {
    status: 500,
    title: 'Database of a later version',
    fix: 'Start the version of Seele that last used this database, or a later one.',
  },
  MARKET_CHAIN_MISMATCH: {
    status: 500,
    title: 'Database belongs to another chain',
    fix: 'Use the home directory of that chain, or give this market a database of its own.',
  },
  MARKET_NOT_READY: {
    status: 409,
    title: 'Not there yet',
    fix: 'Follow the order at /v1/orders/<id>/events and ask again when it has come so far.',
  },
  MARKET_RECEIPT_INCOMPLETE: {
    status: 410,
    title: 'The receipt cannot be made whole',
    fix: 'A provider gave the chain another delivery than the market; what was paid stands on the chain.',
  },
  MARKET_TASK_UNPAID: {
    status: 404,
    title: 'Nothing was paid for this task',
    fix: 'Take the whole receipt; seele job show ORDER names the tasks that were given up.',
  },
  MARKET_LOG_LOST: {
    status: 410,
    title: 'There is no receipt any more',
    fix: 'The market’s database was lost and with it this order’s log; what was paid stands on the chain.',
  },
  MARKET_CHAIN_UNAVAILABLE: {
    status: 503,
    title: 'Chain node does not answer',
    fix: 'Try again shortly; check that the node at SEELE_NODE_URL runs.',
  },
  MARKET_SEARCH: {
    status: 400,
    title: 'Search refused',
    fix: 'Ask with fewer or shorter words and at most 16 facets; a place is west,south,east,north.',
  },
  MARKET_SPARQL: {
    status: 400,
    title: 'SPARQL query refused',
    fix: 'Send one SELECT, ASK, CONSTRUCT or DESCRIBE query; narrow it, or add a LIMIT.',
  },
  MARKET_DATASET_UNKNOWN: {
    status: 404,
    title: 'Unknown dataset or version',
    fix: 'Search the catalogue for it; a version recorded a moment ago shows once its document is read.',
  },
  MARKET_CATALOGUE_UNAVAILABLE: {
    status: 503,
    title: 'Catalogue does not answer',
    fix: 'Try again shortly; while it is being filled it knows only what it has read.',
  },
  MARKET_AGENT_REFUSED: {
    status: 403,
    title: 'Agent refused',
    fix: 'Sign the challenge of this market with the key of the provider that the offer names.',
  },
  MARKET_AGENT_LIMIT: {
    status: 429,
    title: 'Agent speaks too much',
    fix: 'Send fewer or smaller frames; wait before you connect again.',
  },
});
