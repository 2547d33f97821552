/** `/health/live`, `/health/ready` and `/metrics`, for any HTTP server. */
import type { Health } from './health.ts';
import type { Metrics } from './metrics.ts';

export interface OperationsAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

const json = (status: number, value: unknown): OperationsAnswer => ({
  status,
  contentType: 'application/json',
  body: `${JSON.stringify(value)}\n`,
});

/** Answers an operations path; any other path is 404. */
export async function operationsAnswer(
  service: { readonly health: Health; readonly metrics: Metrics },
  path: string,
): Promise<OperationsAnswer> {
  if (path === '/health/live') return json(200, { live: true });
  if (path === '/health/ready') {
    const report = await service.health.report();
    return json(report.ready ? 200 : 503, report);
  }
  if (path === '/metrics')
    return {
      status: 200,
      contentType: service.metrics.contentType,
      body: await service.metrics.text(),
    };
  return json(404, { error: 'no such path' });
}
