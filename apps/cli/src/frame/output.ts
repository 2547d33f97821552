/**
 * Where the command line writes. People read text on stdout; programs read exactly one JSON document
 * there (`--json`); everything that is neither goes to stderr.
 */
import { styleText } from 'node:util';
import { type SeeleError, isSeeleError } from '#libs/kernel';

/** What `JSON.stringify` writes; amounts are decimal strings of the smallest unit. */
export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [k: string]: Json | undefined };

type Style = 'bold' | 'dim' | 'green' | 'red' | 'yellow' | 'cyan';

export interface Output {
  readonly json: boolean;
  /** True when a person watches: progress may redraw a line. */
  readonly live: boolean;
  /** True once the answer was printed: with `--json` there is one document and no other. */
  readonly answered: boolean;
  /** A line for people; nothing with `--json`. */
  line(text?: string): void;
  /** The command's answer: the document with `--json`, else what `render` prints. */
  answer(document: Json, render: () => void): void;
  /** Redraws one status line in a terminal; nothing when piped. An empty text removes it. */
  status(text: string): void;
  /** A diagnostic on stderr. */
  note(text: string): void;
  style(style: Style, text: string): string;
}

export function createOutput(options: { readonly json: boolean }): Output {
  const { stdout, stderr } = process;
  const live = !options.json && stderr.isTTY && stdout.isTTY;
  let statusShown = false;
  let answered = false;
  const clear = () => {
    if (statusShown) stderr.write('\r\u001B[2K');
    statusShown = false;
  };
  const output: Output = {
    json: options.json,
    live,
    get answered() {
      return answered;
    },
    line(text = '') {
      if (options.json) return;
      clear();
      stdout.write(`${text}\n`);
    },
    answer(document, render) {
      clear();
      answered = true;
      if (options.json) stdout.write(`${JSON.stringify(document)}\n`);
      else render();
    },
    status(text) {
      if (!live) return;
      clear();
      if (text === '') return;
      stderr.write(text.slice(0, Math.max(20, stderr.columns - 1)));
      statusShown = true;
    },
    note(text) {
      clear();
      stderr.write(`${text}\n`);
    },
    style: (style, text) => (stdout.isTTY && !options.json ? styleText(style, text) : text),
  };
  return output;
}

/** One line: what is wrong, with which input, what to do. */
export function errorLine(error: SeeleError): string {
  const message = error.message.replaceAll(/\s+/g, ' ').trim();
  const stop = /[.!?]$/.test(message) ? '' : '.';
  return `seele: ${message}${stop} ${error.fix} [${error.code}]`;
}

export function errorDocument(error: unknown): Json {
  if (!isSeeleError(error))
    return { error: { code: 'CLI_DEFECT', message: String(error), status: 500 } };
  const { code, status, title, message, fix } = error;
  return { error: { code, status, title, message, fix } };
}
