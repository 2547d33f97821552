/** The node itself, in the thread that main.ts gives it. */
import { createLogger, errorLine, loadSettings, runProcess } from '#libs/platform';
import { nodeSettings } from './settings.ts';
import { startNode } from './start-node.ts';

async function run(): Promise<void> {
  const settings = loadSettings(nodeSettings);
  const logger = createLogger({ name: settings.name, level: settings.logLevel });
  await runProcess({
    name: settings.name,
    home: settings.home,
    logger,
    start: () => startNode(settings, logger),
  });
}

// Never awaited at the top level: a thread that ends while its module is still waiting there may take the
// process down with it (nodejs/node#43182), one stop in seventy.
run().catch((error: unknown) => {
  process.stderr.write(`node: ${errorLine(error)}\n`);
  process.exit(1);
});
