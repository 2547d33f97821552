/** Numbered steps with what came of them and how long they took. */
import type { CommandContext } from '../frame/command.ts';
import { cliError } from '../errors.ts';
import { formatDuration } from '../frame/table.ts';

export interface Steps {
  /** Runs one step; `say` adds what came of it to the step's line. */
  run<T>(title: string, action: (say: (text: string) => void) => Promise<T>): Promise<T>;
  /** A line below the step. */
  detail(text: string): void;
  timings(): { readonly title: string; readonly ms: number }[];
}

const TITLE_WIDTH = 50;

export function createSteps({ output, signal }: CommandContext): Steps {
  const timings: { title: string; ms: number }[] = [];
  return {
    async run(title, action) {
      if (signal.aborted) throw cliError('CLI_INTERRUPTED', `stopped before "${title}"`);
      const startedMs = performance.now();
      output.status(`${title} …`);
      let said = '';
      const result = await action((text) => (said = text));
      const ms = performance.now() - startedMs;
      timings.push({ title, ms: Math.round(ms) });
      const took = output.style('dim', formatDuration(ms).padStart(8));
      const mark = output.style('green', '✓');
      output.line(`${mark} ${title.padEnd(TITLE_WIDTH)}${took}  ${said}`.trimEnd());
      return result;
    },
    detail: (text) => output.line(`  ${text}`),
    timings: () => timings,
  };
}
