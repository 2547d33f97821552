import {
  defineSettings,
  durationMs,
  filePath,
  flag,
  plainText,
  portNumber,
  wholeNumber,
  type SettingsOf,
} from '#libs/platform';
import { z } from 'zod';

const list = z
  .union([z.array(z.string()), z.string().transform((text) => text.split(','))])
  .transform((parts) => parts.map((part) => part.trim()).filter(Boolean));

const MIB = 1024 * 1024;

export const storageSettings = defineSettings('storage', {
  host: {
    env: 'SEELE_STORAGE_HOST',
    schema: plainText,
    default: '127.0.0.1',
    help: 'Address the RPC listens on. It gives full control to whoever holds the token: keep it on loopback.',
  },
  port: { env: 'SEELE_STORAGE_PORT', schema: portNumber, default: 7402, help: 'Port of the RPC.' },
  storageHome: {
    env: 'SEELE_STORAGE_HOME',
    schema: filePath,
    optional: true,
    help: 'Folder of blocks and pins (default `$SEELE_HOME/storage`).',
  },
  token: {
    env: 'SEELE_STORAGE_TOKEN',
    schema: plainText,
    optional: true,
    secret: true,
    help: 'Bearer token of the RPC. Without one, a random one is written to `token` in the folder.',
  },
  origins: {
    env: 'SEELE_STORAGE_ORIGINS',
    schema: list,
    default: [] as string[],
    help: 'Web origins that may call besides the RPC itself, separated by commas.',
  },
  swarm: {
    env: 'SEELE_STORAGE_SWARM',
    schema: list,
    default: ['/ip4/127.0.0.1/tcp/0'] as string[],
    help: 'Multiaddrs to listen on for IPFS peers, separated by commas; `off` for none.',
  },
  gateway: {
    env: 'SEELE_STORAGE_GATEWAY',
    schema: plainText,
    default: 'off',
    help: 'Address (host:port) of a read-only gateway for blocks and CARs by CID, without token; `off` for none.',
  },
  gatewayFiles: {
    env: 'SEELE_STORAGE_GATEWAY_FILES',
    schema: flag,
    optional: true,
    help: 'Whether the gateway also gives files as they are, unverifiable for who asks (default: on loopback only).',
  },
  addTimeoutMs: {
    env: 'SEELE_STORAGE_ADD_TIMEOUT_MS',
    schema: durationMs,
    default: 3_600_000,
    help: 'Longest time one request may take.',
  },
  idleTimeoutMs: {
    env: 'SEELE_STORAGE_IDLE_TIMEOUT_MS',
    schema: durationMs,
    default: 60_000,
    help: 'A connection on which nothing moves for this long is cut.',
  },
  gcGraceMs: {
    env: 'SEELE_STORAGE_GC_GRACE_MS',
    schema: durationMs,
    default: 3_600_000,
    help: 'Garbage collection spares blocks written or put again within this time; not less than the longest add.',
  },
  fetchTimeoutMs: {
    env: 'SEELE_STORAGE_FETCH_TIMEOUT_MS',
    schema: durationMs,
    default: 20_000,
    help: 'How long connected peers are asked for one missing block.',
  },
  maxAddBytes: {
    env: 'SEELE_STORAGE_MAX_ADD_BYTES',
    schema: wholeNumber,
    default: 64 * 1024 * MIB,
    help: 'Longest request body.',
  },
  reserveBytes: {
    env: 'SEELE_STORAGE_RESERVE_BYTES',
    schema: wholeNumber,
    default: 64 * MIB,
    help: 'Writes are refused when less than this is free on the disk.',
  },
  streams: {
    env: 'SEELE_STORAGE_STREAMS',
    schema: wholeNumber.pipe(z.number().min(1).max(1024)),
    default: 32,
    help: 'Streaming calls (add, cat, get, CAR) served at once; more wait, then are refused.',
  },
  blockReadConcurrency: {
    env: 'SEELE_STORAGE_BLOCK_READ_CONCURRENCY',
    schema: wholeNumber.pipe(z.number().min(1).max(64)),
    default: 8,
    help: 'Blocks read ahead of the reader of a file.',
  },
});

export type StorageSettings = SettingsOf<typeof storageSettings>;
