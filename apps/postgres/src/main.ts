/**
 * The embedded PostgreSQL as a process of its own, so that the market may die without it and the
 * other way round. Its address with the password goes into a file that only its owner can read.
 */
import { join } from 'node:path';
import {
  createLogger,
  defineSettings,
  endProcess,
  portNumber,
  runProcess,
  settingsOrExit,
  startEmbeddedPostgres,
  writePrivateFile,
} from '#libs/platform';

const settings = defineSettings('postgres', {
  port: {
    env: 'SEELE_POSTGRES_PORT',
    schema: portNumber,
    default: 7403,
    help: 'Loopback port of the embedded PostgreSQL; 0 takes a free one.',
  },
});

const { home, port, logLevel } = settingsOrExit(settings);
const logger = createLogger({ name: 'postgres', level: logLevel });

await runProcess({
  name: 'postgres',
  home,
  logger,
  start: async () => {
    const postgres = await startEmbeddedPostgres({ directory: join(home, 'postgres'), port });
    let stopping = false;
    void postgres.ended.then(() => {
      // The supervisor starts us again, and PostgreSQL recovers what it had acknowledged.
      if (!stopping) endProcess(logger, undefined, 'PostgreSQL ended');
    });
    await writePrivateFile(join(home, 'run', 'postgres.url'), postgres.url);
    return {
      url: `postgresql://127.0.0.1:${postgres.port}`,
      facts: { serverPid: postgres.pid },
      stop: async () => {
        stopping = true;
        await postgres.stop();
      },
    };
  },
});
