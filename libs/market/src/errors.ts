import { defineErrors } from '#libs/kernel';

/** Every refusal of the market. Reducers return them as values; edges answer with their status. */
export const marketError = defineErrors({
  MARKET_ORDER_SIGNATURE: {
    status: 401,
    title: 'Order signature does not verify',
    fix: 'Sign the canonical order in its domain with the key of the consuming account.',
  },
  MARKET_ORDER_FOREIGN: {
    status: 422,
    title: 'Order is for another chain or market',
    fix: 'Ask GET /v1/status for the chain and the market account and sign the order for them.',
  },
  MARKET_ORDER_EXPIRED: {
    status: 422,
    title: 'Order may no longer be placed',
    fix: 'Sign a new order with a later placeBy.',
  },
  MARKET_ORDER_DATES: {
    status: 422,
    title: 'Dates of the order do not fit',
    fix: 'Leave the job its wall time between now and completeBy, and keep both dates within the limits.',
  },
  MARKET_MANIFEST_MISMATCH: {
    status: 422,
    title: 'Manifest is not the signed one',
    fix: 'Send the manifest whose CID the order carries.',
  },
  MARKET_MANIFEST_INVALID: {
    status: 422,
    title: 'Manifest contradicts itself',
    fix: 'Mend what the message names; docs/verifiable-jobs.md says what goes with which kind.',
  },
  MARKET_CHECK_UNSAID: {
    status: 422,
    title: 'Order does not say how its result is checked',
    fix: 'Let the order be an array of its tasks with replicas 5 and check adaptive (clients do that by themselves), or take one operator’s word with replicas 1.',
  },
  MARKET_TOO_FEW_OPERATORS: {
    status: 422,
    title: 'Too few operators to check each other',
    fix: 'Permit more domains, levels or a higher price, wait for more operators, or take one operator’s word with replicas 1.',
  },
  MARKET_LIMITS_EXCEEDED: {
    status: 422,
    title: 'Job asks for more than the market allows',
    fix: 'Lower the named limit of the manifest.',
  },
  MARKET_NOTHING_FITS: {
    status: 422,
    title: 'No provider can take this job',
    fix: 'Relax the floor that the reasons name, or come back when such a provider is online.',
  },
  MARKET_CAP_TOO_LOW: {
    status: 422,
    title: 'Price cap below every quote',
    fix: 'Raise the price cap to the quoted price, or lower the limits of the job.',
  },
  MARKET_QUOTE_INVALID: {
    status: 422,
    title: 'Quote is not one of this market for this job',
    fix: 'Pass the quote of this very job as it was given, or ask for a new one.',
  },
  MARKET_QUOTE_EXPIRED: {
    status: 422,
    title: 'Quote is no longer binding',
    fix: 'Ask for a new quote; they bind for a minute.',
  },
  MARKET_DEADLINE: {
    status: 422,
    title: 'No machine would be done in time',
    fix: 'Set completeBy later, or offer the higher price, as the message says.',
  },
  MARKET_BALANCE_TOO_LOW: {
    status: 402,
    title: 'Prepaid balance does not cover the order',
    fix: 'Deposit more (seele account deposit), or wait until running orders have ended.',
  },
  MARKET_INPUT_UNKNOWN: {
    status: 422,
    title: 'Order reads one that is not here',
    fix: 'Submit the order whose result it reads first, or name that result by its CID if it ended long ago.',
  },
  MARKET_INPUT_FOREIGN: {
    status: 403,
    title: 'Order reads one of another account',
    fix: 'Name orders of your own account only; results of others by their CID.',
  },
  MARKET_INPUT_FAILED: {
    status: 409,
    title: 'An order that it reads came to nothing',
    fix: 'See why that order ended (seele why), order it again, and then those that read it.',
  },
  MARKET_INPUT_SHAPE: {
    status: 422,
    title: 'Input and order do not go together',
    fix: 'Name a task that the order has, and as many tasks as it has where each reads one.',
  },
  MARKET_GRAPH_LIMIT: {
    status: 422,
    title: 'Graph of orders is too large',
    fix: 'Split it: docs/market.md says how many orders, how deep and how wide.',
  },
  MARKET_REBUILDING: {
    status: 503,
    title: 'The market is reading its orders from the chain',
    fix: 'Try again after a moment; its database was lost and is being rebuilt.',
  },
  MARKET_OVERLOADED: {
    status: 429,
    title: 'Market takes no more orders now',
    fix: 'Try again after a moment.',
  },
  MARKET_CONSUMER_BUSY: {
    status: 429,
    title: 'Too many open orders of this account',
    fix: 'Wait until some of your orders have ended.',
  },
  MARKET_ORDER_UNKNOWN: {
    status: 404,
    title: 'No such order',
    fix: 'Copy the order id again, whole.',
  },
  MARKET_NOT_REPEATABLE: {
    status: 422,
    title: 'Result cannot be checked by running it again',
    fix: 'Order the job as --kind verifiable; docs/verifiable-jobs.md says what can be repeated.',
  },
  MARKET_NOT_YOURS: {
    status: 403,
    title: 'Order of another account',
    fix: 'Sign the request with the key that signed the order.',
  },
  MARKET_TOO_LATE: {
    status: 409,
    title: 'Order can no longer be cancelled',
    fix: 'Its result was delivered, or it has ended; see its state.',
  },
  MARKET_AGENT_HELLO: {
    status: 401,
    title: 'Agent did not prove its key',
    fix: 'Sign the challenge of this connection with the key of the offer.',
  },
  MARKET_VERIFICATION_TERMS: {
    status: 422,
    title: 'Verification cannot work like that',
    fix: 'Ask for replicas, shares and stakes within the bounds of docs/verification.md.',
  },
  MARKET_ROW_INVALID: {
    status: 500,
    title: 'Stored row does not fit',
    fix: 'The database was changed by something else or by a newer version; restore it.',
  },
});
