/**
 * Platform: what ties Seele to the machine. Settings, logs, metrics, health, HTTP bootstrap, secret
 * files, failpoints, the system's clock and randomness, embedded PostgreSQL.
 *
 * Owns: the only imports of Nest outside the apps, process start and stop. Does not own: any rule of
 * the domain, and no state of its own.
 *
 * @example
 * const settings = settingsOrExit(marketSettings);
 * const logger = createLogger({ name: 'market', level: settings.logLevel });
 * await runProcess({ name: 'market', home: settings.home, logger, start: () => startMarket(settings) });
 */
export * from './disputes/dispute-keeper.ts';
export * from './disputes/moves.ts';
export * from './errors.ts';
export * from './failpoints.ts';
export * from './free-ports.ts';
export * from './health.ts';
export * from './http-app-options.ts';
export * from './http-app.ts';
export * from './http-server.ts';
export * from './keystore-files.ts';
export * from './logger.ts';
export * from './make-directory.ts';
export * from './metrics.ts';
export * from './node-client.ts';
export * from './operations.ts';
export * from './postgres/postgres-server.ts';
export { removePostgresCluster } from './postgres/postgres-directory.ts';
export * from './private-files.ts';
export * from './problem.ts';
export * from './process.ts';
export * from './rate-limit.ts';
export * from './replay/replay-job.ts';
export * from './replay/run-again.ts';
export * from './request-verifier.ts';
export * from './settings.ts';
export * from './system-ports.ts';
