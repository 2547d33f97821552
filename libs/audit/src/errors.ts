/** Failures of job logs and receipts. */
import { defineErrors } from '#libs/kernel';

export const auditError = defineErrors({
  AUDIT_BATCH_INVALID: {
    status: 400,
    title: 'Log entries do not continue the log',
    fix: 'Continue from the acknowledged position: entries in order, each naming the hash before it.',
  },
  AUDIT_SIGNATURE_WRONG: {
    status: 401,
    title: 'Log entries are not signed by the stated key',
    fix: 'Sign the batch with the key that holds the log at this point.',
  },
  AUDIT_RECEIPT_MALFORMED: {
    status: 400,
    title: 'Not a readable receipt',
    fix: 'Fetch the receipt again with `seele receipt`; this file was changed or cut off.',
  },
  AUDIT_RECEIPT_INCOMPLETE: {
    status: 409,
    title: 'A receipt cannot be written yet',
    fix: 'Wait until the order has ended and the end of its log is anchored on the chain.',
  },
});
