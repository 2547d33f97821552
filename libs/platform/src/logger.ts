/**
 * Structured logs: one JSON object per line on stderr (stdout belongs to the ready line). Fields
 * that may hold secrets are replaced before they are written.
 */
import { type DestinationStream, type Logger, destination, pino, stdSerializers } from 'pino';
import { isSeeleError } from '#libs/kernel';

export type { Logger } from 'pino';

/** Replaced wherever they occur up to two levels deep in a logged object. */
const SECRET_FIELDS = [
  'authorization',
  'cookie',
  'passphrase',
  'password',
  'privateKey',
  'secret',
  'secretKey',
  'seed',
  'signature',
  'token',
];

const redactedPaths = [
  ...SECRET_FIELDS.flatMap((field) => [field, `*.${field}`, `*.*.${field}`]),
  'req.headers["signature-input"]',
];

export interface LoggerOptions {
  /** Name of the process, in every line. */
  readonly name: string;
  readonly level?: string;
  /** Where lines go; stderr, written synchronously, unless a test says otherwise. */
  readonly stream?: DestinationStream;
}

function serializeError(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const plain = stdSerializers.err(error);
  return isSeeleError(error) ? { ...plain, code: error.code, detail: error.detail } : plain;
}

export function createLogger(options: LoggerOptions): Logger {
  return pino(
    {
      name: options.name,
      level: options.level ?? 'info',
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: redactedPaths, censor: '[redacted]' },
      serializers: { err: serializeError, error: serializeError },
    },
    options.stream ?? destination({ fd: 2, sync: true }),
  );
}
