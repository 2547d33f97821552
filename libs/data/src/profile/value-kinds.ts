/** What kind of value a cell holds. Formats without types (CSV) are read by the look of the text. */

/** A value as a reader of some format hands it on. */
export type Cell =
  | string
  | number
  | bigint
  | boolean
  | Date
  | Uint8Array
  | null
  | undefined
  | object;

/** Built-in datatypes of CSVW (W3C, Metadata Vocabulary for Tabular Data, 5.11.1). */
export type ValueKind =
  | 'integer'
  | 'decimal'
  | 'boolean'
  | 'date'
  | 'dateTime'
  | 'string'
  | 'binary'
  | 'json';

const INTEGER = /^[+-]?(?:0|[1-9]\d{0,17})$/;
const DECIMAL = /^[+-]?(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?$/;
const DATE = /^(\d{4})-(\d\d)-(\d\d)$/;
const DATE_TIME =
  /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d(?::?\d\d)?)?$/;
const LONGEST_TYPED = 40;

const isDigit = (code: number): boolean => code >= 48 && code <= 57;

function isDate(text: string): boolean {
  const parts = DATE.exec(text);
  if (parts === null) return false;
  const [, year, month, day] = parts.map(Number) as [number, number, number, number];
  return month >= 1 && month <= 12 && day >= 1 && day <= new Date(year, month, 0).getDate();
}

/** ISO 8601 dates and times; other ways to write a date are texts, since 01/02 has two readings. */
function timeKind(text: string): 'date' | 'dateTime' | undefined {
  if (text.length < 10 || text.charCodeAt(4) !== 45) return undefined;
  if (text.length === 10) return isDate(text) ? 'date' : undefined;
  return DATE_TIME.test(text) && !Number.isNaN(Date.parse(text)) ? 'dateTime' : undefined;
}

/** The kind of a cell of a text format; numbers with leading zeros are names, not numbers. */
export function kindOfText(text: string): ValueKind {
  if (text.length > LONGEST_TYPED) return 'string';
  const first = text.charCodeAt(0);
  if (isDigit(first) || first === 45 || first === 43 || first === 46) {
    if (INTEGER.test(text)) return 'integer';
    if (DECIMAL.test(text)) return 'decimal';
    return timeKind(text) ?? 'string';
  }
  if (text.length <= 5 && /^(?:true|false)$/i.test(text)) return 'boolean';
  return 'string';
}

/** The kind of a value that has a type already; texts may still be dates. */
export function kindOfValue(value: Exclude<Cell, null | undefined>): ValueKind {
  switch (typeof value) {
    case 'bigint':
      return 'integer';
    case 'number':
      return Number.isInteger(value) ? 'integer' : 'decimal';
    case 'boolean':
      return 'boolean';
    case 'string':
      return isDigit(value.charCodeAt(0)) && value.length <= LONGEST_TYPED
        ? (timeKind(value) ?? 'string')
        : 'string';
    default:
      if (value instanceof Date) return 'dateTime';
      return value instanceof Uint8Array ? 'binary' : 'json';
  }
}

/** The one datatype that holds all the kinds seen. */
export function datatypeOf(kinds: ReadonlySet<ValueKind>): string {
  const seen = [...kinds];
  const only = (...allowed: readonly ValueKind[]) => seen.every((kind) => allowed.includes(kind));
  if (seen.length === 0) return 'string';
  if (only('integer')) return 'integer';
  if (only('integer', 'decimal')) return 'decimal';
  if (only('date')) return 'date';
  if (only('date', 'dateTime')) return 'dateTime';
  if (only('boolean')) return 'boolean';
  if (only('binary')) return 'base64Binary';
  return only('json') ? 'json' : 'string';
}
