import { setTimeout as delay } from 'node:timers/promises';
import { createLogger, errorLine, loadSettings, runProcess } from '#libs/platform';
import { startProvider } from './provider.ts';
import { providerSettings } from './settings.ts';

/** A market that starts beside us is waited for so long before we say that we are ready. */
const MARKET_WAIT_MS = 3_000;
const LOOK_MS = 20;

try {
  const settings = loadSettings(providerSettings);
  const name = `provider-${settings.name}`;
  const logger = createLogger({ name, level: settings.logLevel });
  await runProcess({
    name,
    home: settings.home,
    logger,
    start: async () => {
      const provider = await startProvider(settings, logger);
      const until = performance.now() + MARKET_WAIT_MS;
      while (provider.loop.agent.link !== 'up' && performance.now() < until) await delay(LOOK_MS);
      return provider;
    },
  });
} catch (error) {
  process.stderr.write(`provider: ${errorLine(error)}\n`);
  process.exit(1);
}
