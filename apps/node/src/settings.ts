import { z } from 'zod';
import { defineSettings, filePath, plainText, portNumber, wholeNumber } from '#libs/platform';

/** Settings of a chain node. */
export const nodeSettings = defineSettings('node', {
  name: {
    env: 'SEELE_NODE_NAME',
    schema: plainText,
    default: 'node',
    help: 'Name of this process in logs and in `$SEELE_HOME/run`, where several share a home.',
  },
  host: {
    env: 'SEELE_NODE_HOST',
    schema: plainText,
    default: '127.0.0.1',
    help: 'Address to listen on.',
  },
  port: {
    env: 'SEELE_NODE_PORT',
    schema: portNumber,
    default: 7401,
    help: 'HTTP port; 0 takes a free one.',
  },
  data: {
    env: 'SEELE_NODE_DATA',
    schema: filePath,
    optional: true,
    help: 'Directory of the chain’s data (default `$SEELE_HOME/node`).',
  },
  genesis: {
    env: 'SEELE_NODE_GENESIS',
    schema: filePath,
    optional: true,
    help: 'Genesis file of the chain (default `$SEELE_HOME/genesis.cbor`).',
  },
  key: {
    env: 'SEELE_NODE_KEY',
    schema: plainText,
    default: 'sequencer',
    help: 'Name of the sequencer’s or validator’s key in `$SEELE_HOME/keys`.',
  },
  listen: {
    env: 'SEELE_NODE_LISTEN',
    schema: plainText,
    default: '127.0.0.1:0',
    help: 'host:port on which other validators reach this one; port 0 takes a free one.',
  },
  advertised: {
    env: 'SEELE_NODE_ADVERTISED',
    schema: plainText,
    optional: true,
    help: 'host:port that others dial, where it is not the address listened on.',
  },
  peers: {
    env: 'SEELE_NODE_PEERS',
    schema: plainText,
    default: '',
    help: 'Other validators: publicKey@host:port, separated by commas.',
  },
  journalLost: {
    env: 'SEELE_NODE_JOURNAL_LOST',
    schema: z.enum(['auto', 'true', 'false']),
    default: 'auto',
    help: 'An empty directory: auto watches until voting is harmless, or all validators begin anew; true: it was lost; false: this key never voted on this chain.',
  },
  journalBytes: {
    env: 'SEELE_NODE_JOURNAL_BYTES',
    schema: wholeNumber,
    default: 64 * 1024 * 1024,
    help: 'A journal of votes longer than this begins anew with what still counts.',
  },
  copyBehind: {
    env: 'SEELE_NODE_COPY_BEHIND',
    schema: wholeNumber,
    default: 10_000,
    help: 'A node that lacks so many blocks at its start copies the state from validators instead of executing them; 0: never.',
  },
  passphrase: {
    env: 'SEELE_PASSPHRASE',
    schema: plainText,
    optional: true,
    secret: true,
    help: 'Passphrase of the keys (default: the one in `$SEELE_HOME/keys/passphrase`).',
  },
  poolTransactions: {
    env: 'SEELE_NODE_POOL_TRANSACTIONS',
    schema: wholeNumber,
    default: 20_000,
    help: 'Most transactions that may wait for a block.',
  },
  poolPerAccount: {
    env: 'SEELE_NODE_POOL_PER_ACCOUNT',
    schema: wholeNumber,
    default: 64,
    help: 'Most waiting transactions of one account.',
  },
  streams: {
    env: 'SEELE_NODE_STREAMS',
    schema: wholeNumber,
    default: 64,
    help: 'Most block streams served at once.',
  },
  signatureThreads: {
    env: 'SEELE_NODE_SIGNATURE_THREADS',
    schema: wholeNumber,
    default: 1,
    help: 'Threads that check signatures; 0 checks them on the main thread.',
  },
  contractCacheBytes: {
    env: 'SEELE_NODE_CONTRACT_CACHE_BYTES',
    schema: wholeNumber,
    default: 128 * 1024 * 1024,
    help: 'Memory for user contracts that are kept loaded.',
  },
  reserveBytes: {
    env: 'SEELE_NODE_RESERVE_BYTES',
    schema: wholeNumber,
    default: 64 * 1024 * 1024,
    help: 'Free disk space below which the node takes no transactions.',
  },
  clockOffsetMs: {
    env: 'SEELE_NODE_CLOCK_OFFSET_MS',
    schema: z.coerce.number().int().min(-3_600_000).max(3_600_000),
    default: 0,
    help: 'For tests only: wall time is taken to be so much later.',
  },
  check: {
    env: 'SEELE_NODE_CHECK',
    schema: z.enum(['recent', 'full']),
    default: 'recent',
    help: 'What is checked at start: the last blocks, or every block and state entry.',
  },
});
