import { createLogger, errorLine, loadSettings, runProcess } from '#libs/platform';
import { startProvider } from './provider.ts';
import { providerSettings } from './settings.ts';

try {
  const settings = loadSettings(providerSettings);
  const name = `provider-${settings.name}`;
  const logger = createLogger({ name, level: settings.logLevel });
  await runProcess({
    name,
    home: settings.home,
    logger,
    start: () => startProvider(settings, logger),
  });
} catch (error) {
  process.stderr.write(`provider: ${errorLine(error)}\n`);
  process.exit(1);
}
