/**
 * Health of one process. Live: the process answers at all. Ready: it can serve now; every named
 * check must pass within its time. A stopping process is live and not ready.
 */
export type ReadinessCheck = () => void | Promise<void>;

export interface HealthReport {
  readonly ready: boolean;
  /** `ok` or the reason, by check. */
  readonly checks: Readonly<Record<string, string>>;
}

export interface Health {
  /** Adds a check; it throws (or rejects) with the reason when the process is not ready. */
  add(name: string, check: ReadinessCheck): void;
  report(): Promise<HealthReport>;
  /** From now on not ready, so that balancers look elsewhere. */
  stopping(): void;
}

const CHECK_TIMEOUT_MS = 2_000;

async function runCheck(check: ReadinessCheck): Promise<string> {
  let timer: NodeJS.Timeout | undefined;
  try {
    await Promise.race([
      check(),
      new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error('no answer in time')), CHECK_TIMEOUT_MS);
      }),
    ]);
    return 'ok';
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    clearTimeout(timer);
  }
}

export function createHealth(): Health {
  const checks = new Map<string, ReadinessCheck>();
  let isStopping = false;
  return {
    add: (name, check) => void checks.set(name, check),
    stopping: () => {
      isStopping = true;
    },
    report: async () => {
      const results = await Promise.all(
        [...checks].map(async ([name, check]) => [name, await runCheck(check)] as const),
      );
      const found = Object.fromEntries(results);
      const all = isStopping ? { ...found, process: 'stopping' } : found;
      return { ready: Object.values(all).every((result) => result === 'ok'), checks: all };
    },
  };
}
