/**
 * Prometheus metrics of one process. Nothing here ticks: values are taken when they are scraped, so
 * an idle process stays idle.
 */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';

export interface Metrics {
  readonly registry: Registry;
  counter(name: string, help: string, labels?: readonly string[]): Counter;
  /** A value set by the program, or read by `collect` at every scrape. */
  gauge(name: string, help: string, collect?: () => number): Gauge;
  histogram(
    name: string,
    help: string,
    bucketsSeconds?: readonly number[],
    labels?: readonly string[],
  ): Histogram;
  /** The text exposition format. */
  text(): Promise<string>;
  readonly contentType: string;
}

/** 1 ms to 30 s. */
export const LATENCY_BUCKETS_SECONDS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
] as const;

/** `app` becomes a label of every series. Names must begin with `seele_` or `process_`. */
export function createMetrics(app: string): Metrics {
  const registry = new Registry();
  registry.setDefaultLabels({ app });
  const registers = [registry];
  const gauge: Metrics['gauge'] = (name, help, collect) =>
    new Gauge({
      name,
      help,
      registers,
      ...(collect && {
        collect(this: Gauge) {
          this.set(collect());
        },
      }),
    });
  gauge('process_cpu_seconds', 'CPU time used by this process', () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  });
  gauge('process_resident_memory_bytes', 'Resident memory', () => process.memoryUsage.rss());
  gauge('process_heap_used_bytes', 'Used JavaScript heap', () => process.memoryUsage().heapUsed);
  gauge('process_uptime_seconds', 'Seconds since start', () => process.uptime());
  gauge(
    'process_event_loop_utilization',
    'Share of time the event loop was busy, since start',
    () => performance.eventLoopUtilization().utilization,
  );
  return {
    registry,
    gauge,
    counter: (name, help, labels = []) =>
      new Counter({ name, help, registers, labelNames: [...labels] }),
    histogram: (name, help, buckets = LATENCY_BUCKETS_SECONDS, labels = []) =>
      new Histogram({ name, help, registers, buckets: [...buckets], labelNames: [...labels] }),
    text: () => registry.metrics(),
    contentType: registry.contentType,
  };
}
