import { setTimeout as delay } from 'node:timers/promises';
import { createLogger, runProcess, settingsOrExit } from '#libs/platform';
import { type Provider, startProvider } from './provider.ts';
import { providerSettings } from './settings.ts';

/** A market that starts beside us, for the first time and on a slow disk, is waited for so long before we say that we are ready. */
const MARKET_WAIT_MS = 20_000;
const LOOK_MS = 20;

const settings = settingsOrExit(providerSettings);
const name = `provider-${settings.name}`;
const logger = createLogger({ name, level: settings.logLevel });
let provider: Provider | undefined;
let drains = false;
process.on('SIGUSR2', () => {
  if (drains) return;
  drains = true;
  provider?.drain();
});
await runProcess({
  name,
  home: settings.home,
  logger,
  start: async () => {
    provider = await startProvider(settings, logger);
    if (drains) provider.drain();
    const until = performance.now() + MARKET_WAIT_MS;
    while (provider.loop.agent.link !== 'up' && performance.now() < until) await delay(LOOK_MS);
    return provider;
  },
});
