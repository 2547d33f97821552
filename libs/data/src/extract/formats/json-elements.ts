/**
 * Cuts a JSON text (RFC 8259) of any length into records without holding it: the elements of an array,
 * of the array of an object's records (GeoJSON's `features`, `data`, …), or values one after another.
 */
import { dataError } from '../../errors.ts';

const ELEMENT_CHARS_MAX = 16 * 1024 * 1024;
const DEPTH_MAX = 200;
/** Members of an object at the top whose arrays hold the records. */
const RECORD_MEMBERS: ReadonlySet<string> = new Set([
  ...['features', 'data', 'records', 'rows', 'items', 'results', 'value'],
]);

const isSpace = (code: number): boolean =>
  code === 32 || code === 10 || code === 13 || code === 9 || code === 0xfeff;

export class JsonSplitter {
  readonly #onElement: (text: string) => void;
  /** What surrounds the records of an object, with their array left empty. */
  shell = '';
  #depth = 0;
  /** Depth of the values that are records: 0 at the top, 1 in an array, 2 in a member of an object. */
  #recordDepth = 0;
  #inString = false;
  #escaped = false;
  #inElement = false;
  #element: string[] = [];
  #elementChars = 0;
  #lastString = '';
  #stringStart = '';
  #read = 0;

  constructor(onElement: (text: string) => void) {
    this.#onElement = onElement;
  }

  #fail(at: number): Error {
    return dataError('DATA_BROKEN', `not JSON near character ${this.#read + at}`);
  }

  #keep(text: string, from: number, to: number): void {
    this.#elementChars += to - from;
    if (this.#elementChars > ELEMENT_CHARS_MAX)
      throw dataError('DATA_LIMIT', `a JSON record is longer than ${ELEMENT_CHARS_MAX} characters`);
    this.#element.push(text.slice(from, to));
  }

  #flush(): void {
    const element = this.#element.join('');
    this.#element = [];
    this.#elementChars = 0;
    this.#inElement = false;
    this.#onElement(element);
  }

  push(text: string): void {
    let from = 0;
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (this.#inString) {
        if (this.#escaped) this.#escaped = false;
        else if (code === 92) this.#escaped = true;
        else if (code === 34) {
          this.#inString = false;
          if (this.#depth === 1) this.#lastString = this.#stringStart;
        } else if (this.#depth === 1 && this.#stringStart.length < 64) this.#stringStart += text[i];
        continue;
      }
      if (!this.#inElement) {
        if (isSpace(code)) continue;
        if (this.#recordDepth > 0 && this.#depth === this.#recordDepth) {
          if (code === 44) continue;
          if (code === 93) {
            this.#closeRecords();
            from = i + 1;
            continue;
          }
        }
        if (this.#depth === 0 && code === 91 && this.#recordDepth === 0) {
          this.#depth = this.#recordDepth = 1;
          continue;
        }
        this.#inElement = true;
        from = i;
      }
      if (code === 34) {
        this.#inString = true;
        this.#stringStart = '';
      } else if (code === 123 || code === 91) {
        if (
          code === 91 &&
          this.#depth === 1 &&
          this.#recordDepth === 0 &&
          RECORD_MEMBERS.has(this.#lastString)
        ) {
          this.#keep(text, from, i + 1);
          this.shell = this.#element.join('');
          this.#element = [];
          this.#elementChars = 0;
          this.#inElement = false;
          this.#depth = this.#recordDepth = 2;
          continue;
        }
        if (++this.#depth > DEPTH_MAX)
          throw dataError('DATA_LIMIT', `JSON nested deeper than ${DEPTH_MAX}`);
      } else if (code === 93 && this.#recordDepth > 0 && this.#depth === this.#recordDepth) {
        // The last element is a plain value, which nothing else ends.
        this.#keep(text, from, i);
        this.#flush();
        this.#closeRecords();
        from = i + 1;
      } else if (code === 125 || code === 93) {
        if (--this.#depth < this.#recordDepth) throw this.#fail(i);
        if (this.#depth === this.#recordDepth) {
          this.#keep(text, from, i + 1);
          this.#flush();
        }
      } else if (this.#depth === this.#recordDepth && (code === 44 || isSpace(code))) {
        this.#keep(text, from, i);
        this.#flush();
      }
    }
    if (this.#inElement) this.#keep(text, from, text.length);
    this.#read += text.length;
  }

  /** The array of records ends; what follows belongs to the object around it, or must be nothing. */
  #closeRecords(): void {
    this.#depth = this.#recordDepth - 1;
    if (this.#recordDepth === 2) {
      // The rest of the object is read as a value of its own that begins with the shell.
      this.#element = [`${this.shell}]`];
      this.shell = '';
      this.#inElement = true;
    }
    this.#recordDepth = 0;
  }

  end(): void {
    if (this.#inString || this.#depth > 0) throw this.#fail(0);
    if (this.#inElement) this.#flush();
  }
}
