/** The order in which jobs of a file can run: those whose results others read come first. */

export interface GraphJob {
  readonly name: string;
  /** Jobs whose results it reads. */
  readonly parents: readonly string[];
}

/** Parents first, else as written; or the first cycle found: each reads the next, the last the first. */
export function orderJobs<J extends GraphJob>(
  jobs: readonly J[],
): { readonly ordered: readonly J[] } | { readonly cycle: readonly string[] } {
  const byName = new Map(jobs.map((job) => [job.name, job]));
  const ordered: J[] = [];
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (job: J): readonly string[] | undefined => {
    if (done.has(job.name)) return undefined;
    const from = path.indexOf(job.name);
    if (from >= 0) return path.slice(from);
    path.push(job.name);
    for (const name of job.parents) {
      const parent = byName.get(name);
      const cycle = parent && visit(parent);
      if (cycle) return cycle;
    }
    path.pop();
    done.add(job.name);
    ordered.push(job);
    return undefined;
  };
  for (const job of jobs) {
    const cycle = visit(job);
    if (cycle) return { cycle };
  }
  return { ordered };
}
