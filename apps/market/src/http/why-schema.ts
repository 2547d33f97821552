/** The document that says why an order is where it is. */
import { z } from 'zod';
import { ORDER_STATUSES, account, amount, count, hash, reason, time } from './schemas.ts';

const filterReason = z.object({
  code: z.string(),
  providers: count,
  text: z.string().describe('Reads after the number of providers'),
});

export const whyDocument = z
  .object({
    id: hash,
    status: z.enum(ORDER_STATUSES),
    reason: reason.optional(),
    waiting: z
      .object({
        text: z.string().describe('What it waits for'),
        considered: count,
        fitting: count.describe('Providers that could ever take it'),
        free: count.describe('Of those, with room now'),
        filters: z.array(filterReason).describe('Why the others cannot take it now'),
        cells: z
          .array(
            z.object({
              cell: z.string(),
              providers: count,
              fitting: count,
              free: count,
              left: z.record(z.string(), count).describe('The others, by filter'),
            }),
          )
          .describe('The same by cell'),
        tenant: z
          .object({ share: z.number(), own: count, waiting: count, accounts: count })
          .describe('Your dominant share, your waiting orders, all waiting orders and whose'),
        relaxations: z
          .array(
            z.object({
              changes: z.array(z.object({ field: z.string(), from: z.string(), to: z.string() })),
              price: amount.describe('Most it would then cost'),
              cell: z.string(),
              provider: account,
            }),
          )
          .describe('Smallest changes with which it would run; empty when somebody fits'),
      })
      .optional()
      .describe('While it waits for a provider'),
    decisions: z.array(
      z.object({
        time,
        kind: z.string(),
        text: z.string(),
        inputs: z.record(z.string(), z.unknown()).describe('What the decision was made from'),
      }),
    ),
  })
  .meta({ id: 'Why' });
