import { defineErrors } from '#libs/kernel';

export const sandboxError = defineErrors({
  SANDBOX_UNSUPPORTED: {
    status: 501,
    title: 'This machine cannot run the sandbox',
    fix: 'Run the provider on Linux (x64 or arm64) with the Node version that package.json pins.',
  },
  SANDBOX_START: {
    status: 503,
    title: 'A sandbox slot did not start',
    fix: 'Read the message: it carries what the slot process printed. Check memory and process limits.',
  },
  SANDBOX_BUSY: {
    status: 503,
    title: 'All sandbox slots are busy',
    fix: 'Wait for a running job to end, or give the provider more slots.',
  },
  SANDBOX_CLOSED: {
    status: 503,
    title: 'The sandbox is closed',
    fix: 'Start the provider again.',
  },
  SANDBOX_CANCELLED: {
    status: 409,
    title: 'The task was cancelled',
    fix: 'Nothing: the slot was killed as asked.',
  },
  SANDBOX_TASK: {
    status: 400,
    title: 'The task cannot be run',
    fix: 'Correct the named part of the task: code, inputs, params or limits.',
  },
});
