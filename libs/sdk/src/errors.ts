/** What a program that uses Seele can run into on its own side of the wire. */
import { SeeleError, defineErrors, errorEntry } from '#libs/kernel';

export const sdkError = defineErrors({
  SDK_UNREACHABLE: {
    status: 503,
    title: 'Service not reachable',
    fix: 'Check that it runs and that the URL is right: `seele doctor` tells.',
  },
  SDK_TIMEOUT: {
    status: 504,
    title: 'No answer in time',
    fix: 'Try again; repeated orders and transactions have no second effect.',
  },
  SDK_ANSWER_INVALID: {
    status: 502,
    title: 'Answer not understood',
    fix: 'Check that the URL names a Seele service of this version.',
  },
  SDK_SIGNER_MISSING: {
    status: 401,
    title: 'No account to sign with',
    fix: 'Create the client with a signer.',
  },
  SDK_REVERTED: {
    status: 422,
    title: 'The chain refused the transaction',
    fix: 'Read the reason; only the fee was paid.',
  },
  SDK_INPUT_INVALID: {
    status: 400,
    title: 'Job description not usable',
    fix: 'Correct the named field.',
  },
  SDK_WEBHOOK: {
    status: 400,
    title: 'Not an event of this market',
    fix: 'Answer with 400 and do nothing; check that `market` is the account of the market that sends.',
  },
  SDK_JOB_FILE: {
    status: 400,
    title: 'Job file not usable',
    fix: 'Mend that place; schemas/job.schema.json says what may stand where, docs/job-files.md shows one.',
  },
});

interface ProblemDocument {
  readonly code?: unknown;
  readonly title?: unknown;
  readonly detail?: unknown;
  readonly fix?: unknown;
}

const word = (value: unknown, otherwise: string): string =>
  typeof value === 'string' && value !== '' ? value : otherwise;

/** The error that an RFC 9457 answer carries, with its code, so that callers match on it. */
export function errorFromProblem(status: number, problem: unknown, subject: string): SeeleError {
  const { code, title, detail, fix } = (problem ?? {}) as ProblemDocument;
  if (typeof code !== 'string')
    return sdkError('SDK_ANSWER_INVALID', `${subject} answered ${status} without a reason`);
  const known = errorEntry(code);
  const entry = {
    status,
    title: word(title, known?.title ?? code),
    fix: word(fix, known?.fix ?? 'Read the message.'),
  };
  return new SeeleError(code, entry, word(detail, entry.title), { detail: { subject } });
}
