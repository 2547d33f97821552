/** Why a webhook is refused, was not delivered, or was switched off; owners see these codes. */
import { defineErrors } from '#libs/kernel';

export const webhookError = defineErrors({
  WEBHOOK_URL: {
    status: 400,
    title: 'Address of the webhook refused',
    fix: 'Give an https address without credentials, on port 443 or 8443, whose host is public. For http and loopback the operator sets SEELE_MARKET_WEBHOOK_LOCAL=true.',
  },
  WEBHOOK_LIMIT: {
    status: 409,
    title: 'Too many webhooks',
    fix: 'Remove one (seele webhooks list, seele webhooks remove ID), or let one address take several orders.',
  },
  WEBHOOK_UNKNOWN: {
    status: 404,
    title: 'Unknown webhook',
    fix: 'List yours with seele webhooks list; those of one order are removed 30 days after they were added.',
  },
  WEBHOOK_RANGE: {
    status: 400,
    title: 'Nothing to replay',
    fix: 'Ask for sequence numbers that the order’s log holds: seele job show ORDER tells its length.',
  },
  WEBHOOK_BUSY: {
    status: 429,
    title: 'Too many webhook requests at once',
    fix: 'Wait until the test or replay that is under way has ended, then try again.',
  },
  WEBHOOK_ADDRESS: {
    status: 502,
    title: 'Host of the webhook is not public',
    fix: 'Let its DNS name point at public addresses only; add the webhook again at the right host.',
  },
  WEBHOOK_DNS: {
    status: 502,
    title: 'Host of the webhook is not found',
    fix: 'Check the DNS name and its A and AAAA records.',
  },
  WEBHOOK_TLS: {
    status: 502,
    title: 'TLS with the webhook failed',
    fix: 'Serve a valid certificate of that host name with its whole chain.',
  },
  WEBHOOK_UNREACHABLE: {
    status: 502,
    title: 'Webhook cannot be reached',
    fix: 'Check that the receiver listens there and that no firewall drops the market.',
  },
  WEBHOOK_TIMEOUT: {
    status: 504,
    title: 'Webhook did not answer in time',
    fix: 'Answer with 204 within 10 seconds, and do the work afterwards.',
  },
  WEBHOOK_REDIRECT: {
    status: 502,
    title: 'Webhook answered with a redirect',
    fix: 'Redirects are not followed: add the webhook at its final address.',
  },
  WEBHOOK_STATUS: {
    status: 502,
    title: 'Webhook did not take the event',
    fix: 'Answer with a status from 200 to 299; look into the receiver’s log.',
  },
  WEBHOOK_GONE: {
    status: 410,
    title: 'Webhook said that it is gone',
    fix: 'Status 410 switches a webhook off. If it was a mistake: seele webhooks resume ID.',
  },
  WEBHOOK_EXPIRED: {
    status: 502,
    title: 'Webhook took nothing for three days',
    fix: 'Mend the receiver, check with seele webhooks test ID, then seele webhooks resume ID: what waits is sent.',
  },
  WEBHOOK_SENDER: {
    status: 503,
    title: 'Webhooks are not being sent',
    fix: 'The market’s sending thread is being started again; nothing is lost, it is tried again.',
  },
});
