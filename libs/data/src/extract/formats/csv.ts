/**
 * Comma- and tab-separated values (RFC 4180), in one pass and without holding more than one record.
 * Real files break the rules: rows of other lengths and quotes in wrong places are counted with their
 * lines, and read as a person would.
 */
import { columnNames, TableProfiler } from '../../profile/table-profiler.ts';
import { kindOfText } from '../../profile/value-kinds.ts';
import type { FaultList } from '../source-profile.ts';

/** A quoted field that is longer was never closed: its quote is a character like others. */
const RECORD_CHARS_MAX = 1_048_576;
const DELIMITERS = [',', ';', '\t', '|'] as const;
const SNIFFED_LINES = 20;
const QUOTE = 34;

/** The delimiter that stands equally often on the first lines. */
export function sniffDelimiter(text: string): string {
  const lines = text.split(/\r?\n/, SNIFFED_LINES).filter((line) => line !== '');
  // The last line may be cut off.
  const whole = lines.length > 2 ? lines.slice(0, -1) : lines;
  const scores = DELIMITERS.map((delimiter) => {
    const counts = whole.map((line) => line.replace(/"[^"]*"/g, '').split(delimiter).length - 1);
    const [first = 0] = counts;
    const agreeing = counts.filter((count) => count === first).length;
    return { delimiter, score: first === 0 ? 0 : (agreeing / counts.length) * Math.min(first, 4) };
  });
  const best = scores.toSorted((a, b) => b.score - a.score)[0];
  return best !== undefined && best.score > 0 ? best.delimiter : ',';
}

type Parsed = { readonly cells: readonly string[]; readonly end: number; readonly faulty: boolean };

/** Cuts text into records. */
export class CsvReader {
  readonly #delimiter: string;
  readonly #onRecord: (cells: readonly string[], line: number) => void;
  readonly #onWrongQuote: (line: number) => void;
  #rest = '';
  #line = 1;

  constructor(
    delimiter: string,
    onRecord: (cells: readonly string[], line: number) => void,
    onWrongQuote: (line: number) => void,
  ) {
    this.#delimiter = delimiter;
    this.#onRecord = onRecord;
    this.#onWrongQuote = onWrongQuote;
  }

  push(text: string, isLast = false): void {
    const buffer = this.#rest + text;
    let at = 0;
    while (at < buffer.length) {
      const newline = buffer.indexOf('\n', at);
      const lineEnd = newline < 0 ? buffer.length : newline;
      const hasQuote = this.#hasQuote(buffer, at, lineEnd);
      if (newline < 0 && !isLast && (hasQuote || buffer.length - at <= RECORD_CHARS_MAX)) {
        if (!hasQuote || buffer.length - at <= RECORD_CHARS_MAX) break;
      }
      if (!hasQuote) {
        this.#emit(this.#plainCells(buffer, at, lineEnd), buffer, at, lineEnd);
        at = lineEnd + 1;
        continue;
      }
      const parsed = this.#quoted(buffer, at, isLast);
      if (parsed === undefined) {
        if (buffer.length - at <= RECORD_CHARS_MAX && !isLast) break;
        // Never closed: this line without quotes, the next ones by themselves.
        this.#onWrongQuote(this.#line);
        this.#emit(this.#plainCells(buffer, at, lineEnd), buffer, at, lineEnd);
        at = lineEnd + 1;
        continue;
      }
      if (parsed.faulty) this.#onWrongQuote(this.#line);
      this.#emit(parsed.cells, buffer, at, parsed.end);
      at = parsed.end + 1;
    }
    this.#rest = buffer.slice(at);
  }

  end(): void {
    this.push('', true);
  }

  #hasQuote(buffer: string, from: number, to: number): boolean {
    const quote = buffer.indexOf('"', from);
    return quote >= 0 && quote < to;
  }

  #plainCells(buffer: string, from: number, to: number): readonly string[] {
    const end = to > from && buffer.charCodeAt(to - 1) === 13 ? to - 1 : to;
    return buffer.slice(from, end).split(this.#delimiter);
  }

  #emit(cells: readonly string[], buffer: string, from: number, to: number): void {
    const line = this.#line;
    for (let i = buffer.indexOf('\n', from); i >= 0 && i <= to; i = buffer.indexOf('\n', i + 1))
      this.#line++;
    if (cells.length > 1 || cells[0] !== '') this.#onRecord(cells, line);
  }

  /** A record with quotes in it; undefined when its end is not there yet. */
  #quoted(buffer: string, from: number, isLast: boolean): Parsed | undefined {
    const delimiter = this.#delimiter.charCodeAt(0);
    const cells: string[] = [];
    let faulty = false;
    let at = from;
    for (;;) {
      let cell = '';
      if (buffer.charCodeAt(at) === QUOTE) {
        let start = at + 1;
        for (;;) {
          const close = buffer.indexOf('"', start);
          if (close < 0) return undefined;
          if (close + 1 >= buffer.length && !isLast) return undefined;
          cell += buffer.slice(start, close);
          if (buffer.charCodeAt(close + 1) !== QUOTE) {
            at = close + 1;
            break;
          }
          cell += '"';
          start = close + 2;
        }
      }
      const rest = at;
      while (at < buffer.length) {
        const code = buffer.charCodeAt(at);
        if (code === delimiter || code === 10) break;
        at++;
      }
      if (at >= buffer.length && !isLast) return undefined;
      const isEnd = at >= buffer.length || buffer.charCodeAt(at) === 10;
      const tail = buffer.slice(rest, isEnd && buffer.charCodeAt(at - 1) === 13 ? at - 1 : at);
      // Text after the closing quote, or a quote inside of a field without quotes.
      if (tail !== '' && (rest !== at || cell !== '') && (tail.includes('"') || cell !== ''))
        faulty = true;
      cells.push(cell + tail);
      if (isEnd) return { cells, end: at, faulty };
      at++;
    }
  }
}

/** The first record names the columns when each of its cells could be a name, and no two are alike. */
function isHeader(cells: readonly string[]): boolean {
  const names = cells.map((cell) => cell.trim());
  return (
    names.every((name) => name === '' || kindOfText(name) === 'string') &&
    names.some((name) => name !== '') &&
    new Set(names).size === names.length
  );
}

/**
 * @param delimiter guessed from the first lines unless given
 * @returns undefined for an empty file
 */
export async function profileCsv(
  chunks: AsyncIterable<string>,
  faults: FaultList,
  delimiter?: string,
  onRecord?: (record: ReadonlyMap<string, string>) => void,
): Promise<TableProfiler | undefined> {
  let table: TableProfiler | undefined;
  let names: readonly string[] = [];
  const record = (cells: readonly string[], line: number): void => {
    if (table === undefined) {
      const header = isHeader(cells);
      names = columnNames(header ? cells : cells.map(() => ''));
      table = new TableProfiler('', names);
      if (header) return;
    }
    table.rows++;
    if (cells.length !== names.length) faults.add('ragged-row', line);
    const length = Math.min(cells.length, names.length);
    for (let i = 0; i < length; i++) table.column(names[i] as string)?.addText(cells[i] as string);
    onRecord?.(new Map(names.map((name, i) => [name, cells[i] ?? ''])));
  };
  let reader: CsvReader | undefined;
  let head = '';
  const start = (text: string) =>
    new CsvReader(delimiter ?? sniffDelimiter(text), record, (line) =>
      faults.add('wrong-quote', line),
    );
  for await (const chunk of chunks) {
    if (reader !== undefined) {
      reader.push(chunk);
      continue;
    }
    head += chunk;
    if (head.length < 65_536) continue;
    reader = start(head);
    reader.push(head.replace(/^\uFEFF/, ''));
  }
  if (reader === undefined) {
    reader = start(head);
    reader.push(head.replace(/^\uFEFF/, ''));
  }
  reader.end();
  return table;
}
