/** What a command of the command line is given, with a home of its own, and what it said. */
import type { CommandContext } from '../../apps/cli/src/frame/command.ts';
import { homeAt } from '../../apps/cli/src/frame/home.ts';
import type { Json } from '../../apps/cli/src/frame/output.ts';

export function createCommandContext(home: string) {
  const said: string[] = [];
  let document: Json = null;
  const context: CommandContext = {
    home: homeAt(home),
    signal: new AbortController().signal,
    output: {
      json: false,
      live: false,
      answered: false,
      line: (text = '') => void said.push(text),
      answer(answer, render) {
        document = answer;
        render();
      },
      status: () => undefined,
      note: () => undefined,
      style: (_style, text) => text,
    },
  };
  return { context, said, answer: () => document as Readonly<Record<string, Json>> };
}
