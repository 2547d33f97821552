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
  /** File descriptor to write to instead of stderr. */
  readonly fd?: number;
}

const STDERR = 2;
/** Lines that wait to be written at most; later ones are dropped. */
const WAITING_MAX_BYTES = 1024 * 1024;

/** A full disk under the log costs lines, not the work that they are about. */
function openSink(fd: number): DestinationStream {
  const sink = destination({ fd, sync: true, maxLength: WAITING_MAX_BYTES });
  sink.on('error', () => {});
  return sink;
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
    options.stream ?? openSink(options.fd ?? STDERR),
  );
}
