/** Failures of storage deals outside the chain. */
import { defineErrors } from '#libs/kernel';

export const dealsError = defineErrors({
  DEALS_TOO_FEW_SHARDS: {
    status: 503,
    title: 'Too few shards can be read',
    fix: 'Try again later: providers may be away for a while; seele storage status shows which.',
  },
  DEALS_CONTENT_WRONG: {
    status: 502,
    title: 'The shards give other content than was stored',
    fix: 'Read again without the provider that the message names; report it.',
  },
  DEALS_DESCRIPTOR: {
    status: 403,
    title: 'The deal cannot be read with this key',
    fix: 'Use the account that made the deal, or one that it was shared with.',
  },
  DEALS_NO_OFFERS: {
    status: 409,
    title: 'Too few providers offer what is asked',
    fix: 'Raise the price, ask for fewer shards, or wait for more providers (seele storage offers).',
  },
  DEALS_REFUSED: {
    status: 409,
    title: 'The chain refused the step',
    fix: 'Read the code in the message; docs/contracts.md says what it means.',
  },
});
