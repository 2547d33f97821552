import { defineErrors } from '#libs/kernel';

export const providerError = defineErrors({
  PROVIDER_OFFER_REFUSED: {
    status: 409,
    title: 'The chain refused the offer',
    fix: 'Read the code in the message; most often the account needs money for deposit and fees.',
  },
  PROVIDER_NETWORK_OPEN: {
    status: 501,
    title: 'Slots would have a network',
    fix: 'Install util-linux and allow user namespaces, or unset SEELE_PROVIDER_REQUIRE_CLOSED_NETWORK.',
  },
  PROVIDER_INPUT_SIZE: {
    status: 400,
    title: 'An input has another length than its manifest says',
    fix: 'Make the manifest again from the stored input.',
  },
});
