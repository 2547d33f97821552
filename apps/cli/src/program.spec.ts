/** Every command explains itself, and every command line that a page shows is one that this program takes. */
import { readFileSync, readdirSync } from 'node:fs';
import { join, posix } from 'node:path';
import type { Command } from 'commander';
import { createProgram } from './program.ts';

const root = join(import.meta.dirname, '..', '..', '..');
const program = createProgram();

interface Leaf {
  readonly name: string;
  readonly command: Command;
}
const leavesOf = (command: Command, name: string): readonly Leaf[] =>
  command.commands.length === 0
    ? [{ name, command }]
    : command.commands.flatMap((inner) => leavesOf(inner, `${name} ${inner.name()}`.trim()));
const leaves = leavesOf(program, '');

const pages = [
  ...readdirSync(root).filter((name) => name.endsWith('.md')),
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => posix.join('docs', name)),
].map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }));

/** Words of a shell line up to its comment, pipe or redirection. */
function wordsOf(line: string): string[] {
  const words = line.match(/(?:'[^']*'|"[^"]*"|\\.|[^\s'"\\])+/g) ?? [];
  const end = words.findIndex((word) => /^(#.*|\||\|\||&&|&|;|[12]?>.*|<)$/.test(word));
  return words.slice(0, end < 0 ? undefined : end).map((word) => word.replace(/[;)]+$/, ''));
}

/** What is wrong with the words after `seele`; undefined when the program takes them. */
function problemOf(words: readonly string[]): string | undefined {
  let command = program;
  let at = 0;
  for (; command.commands.length > 0; at++) {
    const inner = command.commands.find((one) => one.name() === words[at]);
    if (inner === undefined)
      return ['--help', '-h', undefined].includes(words[at]) ? undefined : `no ${words[at]}`;
    command = inner;
  }
  let values = 0;
  for (; at < words.length; at++) {
    const word = words[at] as string;
    if (!/^--?[a-z]/.test(word)) values++;
    else if (word !== '--help') {
      const [flag = word, given] = word.split('=');
      const option = command.options.find(({ long, short }) => long === flag || short === flag);
      if (option === undefined) return `no option ${flag}`;
      if ((option.required || option.optional) && given === undefined) at++;
      while (option.variadic && at + 1 < words.length && !words[at + 1]?.startsWith('-')) at++;
    }
  }
  const taken = command.registeredArguments;
  if (values > taken.length && taken.at(-1)?.variadic !== true) return 'too many arguments';
  const needed = taken.filter(({ required }) => required).length;
  return values < needed && !words.includes('--help') ? 'too few arguments' : undefined;
}

/** The command lines of a page's shell blocks, with what was broken by a backslash joined again. */
const shownIn = (text: string): string[] =>
  [...text.matchAll(/```(?:sh|bash|console)\n([\s\S]*?)```/g)].flatMap(([, block = '']) =>
    block
      .replace(/\\\n\s*/g, ' ')
      .split('\n')
      .flatMap((line) => /^(?:\$ )?(?:\w+=\S* )*(?:\.\/)?seele (.*)$/.exec(line)?.[1] ?? []),
  );

describe('the command line', () => {
  it.each(leaves)(
    '$name: explains itself with an example that it takes, and has --json',
    (leaf) => {
      let text = '';
      leaf.command.configureOutput({ writeOut: (part) => (text += part) });
      leaf.command.outputHelp();
      expect(text).toContain(`Example:\n  $ seele ${leaf.name}`);
      expect(text).toContain('--json');
      for (const [, line = ''] of text.matchAll(/^ {2}\$ seele (.*)$/gm))
        expect([line, problemOf(wordsOf(line))]).toEqual([line, undefined]);
    },
  );

  it('takes what the pages show', () => {
    const shown = pages.flatMap(({ path, text }) => shownIn(text).map((line) => ({ path, line })));
    expect(shown.length).toBeGreaterThan(50);
    const wrong = shown.flatMap(({ path, line }) => {
      const problem = problemOf(wordsOf(line));
      return problem === undefined ? [] : `${path}: seele ${line}: ${problem}`;
    });
    // In running text what follows may be left out: `seele job list`, `seele run --webhook`.
    for (const { path, text } of pages)
      for (const [, line = ''] of text.matchAll(/`(?:\.\/)?seele ([a-z][^`…{}|<>]*)`/g)) {
        const problem = problemOf(wordsOf(line.replaceAll(/\s+/g, ' ')));
        if (problem?.startsWith('no ') === true && problem !== 'no undefined')
          wrong.push(`${path}: seele ${line}: ${problem}`);
      }
    expect(wrong).toEqual([]);
    // The check itself can fail.
    expect(problemOf(['job', 'shwo', 'x'])).toBe('no shwo');
    expect(problemOf(['job', 'show', 'x', '--nothing'])).toBe('no option --nothing');
    expect(problemOf(['job', 'show'])).toBe('too few arguments');
  });
});

it('every page is reached from another, and every link leads somewhere', () => {
  const linked = new Set<string>();
  const dead: string[] = [];
  const files = new Set(
    readdirSync(root, { encoding: 'utf8' }).concat(
      ['docs', 'examples', 'schemas', 'test', 'libs'].flatMap((folder) =>
        readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((name) =>
          posix.join(folder, name),
        ),
      ),
    ),
  );
  for (const { path, text } of pages)
    for (const [, target = ''] of text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)) {
      if (/^\w+:/.test(target)) continue;
      const to = posix.join(posix.dirname(path), target).replace(/\/$/, '');
      if (to !== path) linked.add(to);
      const isThere = files.has(to) || [...files].some((file) => file.startsWith(`${to}/`));
      if (!isThere) dead.push(`${path}: ${target}`);
    }
  expect(dead).toEqual([]);
  // A folder that is linked shows what lies in it.
  const isReached = (path: string) => linked.has(path) || linked.has(posix.dirname(path));
  const unreached = pages.filter(({ path }) => path !== 'README.md' && !isReached(path));
  expect(unreached.map(({ path }) => path)).toEqual([]);
});
