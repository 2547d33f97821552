/** Health, metrics and status of one provider, on loopback. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describeSystemError, type Health, type Metrics, operationsAnswer } from '#libs/platform';

export interface StatusServer {
  readonly url: string;
  close(): Promise<void>;
}

export interface StatusServerOptions {
  readonly port: number;
  readonly health: Health;
  readonly metrics: Metrics;
  /** JSON of `/v1/status`. */
  status(): unknown;
}

/** @throws PLATFORM_PORT_IN_USE and the like */
export async function startStatusServer(options: StatusServerOptions): Promise<StatusServer> {
  const server = createServer((request, response) => {
    const path = (request.url ?? '').split('?')[0] as string;
    const answer =
      path === '/v1/status'
        ? Promise.resolve({
            status: 200,
            contentType: 'application/json',
            body: `${JSON.stringify(options.status())}\n`,
          })
        : operationsAnswer(options, path);
    answer.then(
      ({ status, contentType, body }) =>
        response.writeHead(status, { 'content-type': contentType }).end(body),
      () => response.writeHead(500).end(),
    );
  });
  server.requestTimeout = 5_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(describeSystemError(error, `port ${options.port}`)));
    server.listen(options.port, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
