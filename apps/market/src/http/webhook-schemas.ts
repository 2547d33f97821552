/** The documents of webhooks. */
import { z } from 'zod';
import { EVENT_KINDS } from '../webhooks/webhook.ts';

const hash = z.string().regex(/^[0-9a-f]{64}$/);
const time = z.iso.datetime();
const count = z.int().min(0);
const kind = z.string().refine((text) => EVENT_KINDS.includes(text), {
  error: `a kind is one of ${EVENT_KINDS.join(', ')}`,
});
const failure = z.object({ code: z.string(), text: z.string() });

export const webhookIdParameter = z.string().regex(/^wh_[0-9a-f]{24}$/);

export const webhookRequest = z
  .strictObject({
    url: z.string().min(1).max(2048).describe('https, public host, no credentials'),
    order: hash
      .optional()
      .describe('Only this order, which may be submitted later; absent: all of the account'),
    events: z
      .array(kind)
      .min(1)
      .max(64)
      .optional()
      .describe('Kinds of events (`*`: all); absent: the steps of the order, not its log lines'),
  })
  .meta({ id: 'WebhookRequest' });
export type WebhookRequest = z.infer<typeof webhookRequest>;

export const webhookDocument = z
  .object({
    id: webhookIdParameter,
    url: z.string(),
    order: hash.optional(),
    events: z.array(z.string()),
    createdAt: time,
    status: z.enum(['active', 'failing', 'disabled']),
    disabled: failure
      .extend({ at: time, fix: z.string() })
      .optional()
      .describe('Why it was switched off; events are kept for it meanwhile'),
    failingSince: time.optional(),
    lastFailure: failure.optional(),
    lastDelivered: time.optional().describe('Since the market started, or when it last recovered'),
    waiting: count.describe('Orders with events that it has not taken'),
    missed: count.describe('Orders whose events were given up or not kept; replay them'),
  })
  .meta({ id: 'Webhook' });
export type WebhookDocument = z.infer<typeof webhookDocument>;

export const webhookListDocument = z
  .object({ items: z.array(webhookDocument) })
  .meta({ id: 'WebhookList' });

export const webhookReplayRequest = z
  .strictObject({
    order: hash,
    from: count.describe('Sequence number of the first event'),
    to: count.optional().describe('Of the last; absent: all there are by now'),
  })
  .meta({ id: 'WebhookReplayRequest' });
export type WebhookReplayRequest = z.infer<typeof webhookReplayRequest>;

export const webhookReplayDocument = z
  .object({ queued: count.describe('Events of the range; those of other kinds are not sent') })
  .meta({ id: 'WebhookReplay' });

export const webhookTestDocument = z
  .object({
    delivered: z.boolean(),
    status: z.int().optional().describe('What the receiver answered'),
    failure: failure.extend({ fix: z.string() }).optional(),
    tookMs: count,
  })
  .meta({ id: 'WebhookTest' });

/** What a webhook gets as the body of a POST. */
export const webhookEventDocument = z
  .object({
    id: z.string().describe('The idempotency key, `<order>-<seq>`: the same in every attempt'),
    webhook: webhookIdParameter,
    market: z.string().describe('Account of the market that signed the request'),
    chain: hash,
    order: hash.optional().describe('Absent in a test'),
    seq: count.optional().describe('Place in the order’s log; absent in a test'),
    kind: z.string(),
    time,
    data: z.record(z.string(), z.unknown()),
    dataTooLarge: z.boolean().optional().describe('`data` was left out: read it from the events'),
  })
  .meta({ id: 'WebhookEvent' });
