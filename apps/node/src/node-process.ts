/** The node itself, in the thread that main.ts gives it. */
import { createLogger, errorLine, loadSettings, runProcess } from '#libs/platform';
import { nodeSettings } from './settings.ts';
import { startNode } from './start-node.ts';

try {
  const settings = loadSettings(nodeSettings);
  const logger = createLogger({ name: settings.name, level: settings.logLevel });
  await runProcess({
    name: settings.name,
    home: settings.home,
    logger,
    start: () => startNode(settings, logger),
  });
} catch (error) {
  process.stderr.write(`node: ${errorLine(error)}\n`);
  process.exit(1);
}
