import {
  type SettingsOf,
  defineSettings,
  durationMs,
  httpUrl,
  plainText,
  portNumber,
} from '#libs/platform';

export const repairerSettings = defineSettings('repairer', {
  key: {
    env: 'SEELE_REPAIRER_KEY',
    schema: plainText,
    default: 'repairer',
    help: 'Name of the key in `$SEELE_HOME/keys`; made if missing. Deals name its account.',
  },
  passphrase: {
    env: 'SEELE_PASSPHRASE',
    schema: plainText,
    optional: true,
    secret: true,
    help: 'Opens the key (default: the one in `$SEELE_HOME/keys/passphrase`).',
  },
  port: {
    env: 'SEELE_REPAIRER_PORT',
    schema: portNumber,
    default: 0,
    help: 'Port of health, metrics and status on loopback; 0 lets the system choose.',
  },
  pollMs: {
    env: 'SEELE_REPAIRER_POLL_MS',
    schema: durationMs.min(100),
    default: 2_000,
    help: 'Time between two looks at the deals.',
  },
  gatewayUrl: {
    env: 'SEELE_REPAIRER_GATEWAY_URL',
    schema: httpUrl,
    help: 'Gateway of the storage, where new providers fetch the shards that were made again.',
  },
  nodeUrl: {
    env: 'SEELE_NODE_URL',
    schema: httpUrl,
    default: 'http://127.0.0.1:7401',
    help: 'Chain node.',
  },
  storageUrl: {
    env: 'STORAGE_RPC_URL',
    schema: httpUrl,
    default: 'http://127.0.0.1:7402',
    help: 'Kubo RPC where shards are put that were made again.',
  },
  storageToken: {
    env: 'STORAGE_RPC_TOKEN',
    schema: plainText,
    optional: true,
    secret: true,
    help: 'Bearer token of that RPC.',
  },
});

export type RepairerSettings = SettingsOf<typeof repairerSettings>;
