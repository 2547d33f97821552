/** `seele sim eda` and `seele sim pbft`: hands its options to the simulation and shows the report. */
import { cliError } from '../errors.ts';
import type { CommandContext } from '../frame/command.ts';
import type { Json } from '../frame/output.ts';
import { tableLines } from '../frame/table.ts';
import { flatten, runBuilt } from './bench.ts';

const toFlag = (name: string) => `--${name.replaceAll(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}`;

export function simConsensus(what: 'eda' | 'pbft') {
  return async (
    context: CommandContext,
    options: Readonly<Record<string, string | boolean | undefined>>,
  ): Promise<void> => {
    const args = Object.entries(options).flatMap(([name, value]) => {
      if (name === 'json' || value === undefined || value === false) return [];
      return value === true ? [toFlag(name)] : [toFlag(name), value];
    });
    context.output.status('simulating …');
    const program = 'test/simulation/eda/main.js';
    const { code, stdout } = await runBuilt(context, program, [what, ...args, '--json']);
    const document = JSON.parse(stdout.trim().split('\n').at(-1) ?? 'null') as Json;
    context.output.answer(document, () => {
      for (const line of tableLines([], flatten(document, ''))) context.output.line(line);
    });
    if (code !== 0)
      throw cliError('CLI_CHECK_FAILED', `the simulation ended with exit code ${code}`);
  };
}
