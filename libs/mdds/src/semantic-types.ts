/**
 * What the values of a column mean, and whether that is personal. A detector only ever vetoes: it keeps a
 * column private, it never makes one public. So that it does not cry wolf it matches whole values, asks
 * for check digits where a format has them and for most of the values, and reads names of columns as
 * words. Names count without samples, and samples without names.
 */

export interface ColumnSample {
  readonly name: string;
  /** Some values as text; empty ones do not count. */
  readonly values: readonly string[];
}

export interface SemanticFinding {
  readonly type: string;
  /** Where it was seen. */
  readonly by: 'name' | 'values';
  readonly isPersonal: boolean;
  /** Share of the values that match, when seen in values. */
  readonly share?: number;
}

/** Share of values that must match. */
const SHARE_MIN = 0.8;
/** Longer values are texts, which match nothing. */
const VALUE_CHARS_MAX = 256;
/** Fewer values say nothing. */
const VALUES_MIN = 3;

interface Rule {
  readonly type: string;
  readonly isPersonal: boolean;
  readonly matches?: (value: string) => boolean;
  /** Names of columns as rows of words that must stand next to each other. */
  readonly names?: readonly string[];
}

/** ISO/IEC 7812: the digits of payment cards. */
export function hasLuhnDigit(digits: string): boolean {
  let sum = 0;
  for (let i = 0; i < digits.length; i++) {
    const digit = Number(digits[digits.length - 1 - i]);
    const doubled = digit * 2;
    sum += i % 2 === 0 ? digit : doubled > 9 ? doubled - 9 : doubled;
  }
  return sum % 10 === 0;
}

/** ISO 13616: remainder 1 by 97 with the country and the check digits moved to the end. */
export function isIban(value: string): boolean {
  const text = value.replaceAll(' ', '').toUpperCase();
  if (!/^[A-Z]{2}\d{2}[A-Z0-9]{11,30}$/.test(text)) return false;
  let remainder = 0;
  for (const character of text.slice(4) + text.slice(0, 4))
    for (const digit of Number.parseInt(character, 36).toString())
      remainder = (remainder * 10 + Number(digit)) % 97;
  return remainder === 1;
}

function isCardNumber(value: string): boolean {
  const digits = value.replace(/[ -]/g, '');
  // The first digits of the card schemes; other long numbers pass the check digit one time in ten.
  return /^(?:4|5[1-5]|2[2-7]|3[47]|6)\d{11,17}$/.test(digits) && hasLuhnDigit(digits);
}

const whole = (pattern: RegExp) => (value: string) => pattern.test(value);

const RULES: readonly Rule[] = [
  {
    ...{ type: 'email', isPersonal: true, names: ['email', 'e mail', 'mail address'] },
    matches: whole(/^[\w.+-]{1,64}@[\w-]+(\.[\w-]+)+$/),
  },
  { type: 'iban', isPersonal: true, names: ['iban'], matches: isIban },
  {
    ...{ type: 'payment-card', isPersonal: true, matches: isCardNumber },
    names: ['card number', 'credit card', 'cvv', 'cvc', 'pan'],
  },
  {
    ...{ type: 'phone', isPersonal: true, names: ['phone', 'telephone', 'mobile number'] },
    matches: whole(/^\+\d{1,3}[ -]?(\(\d+\)[ -]?)?\d{2,4}([ -]?\d{2,4}){1,4}$/),
  },
  {
    ...{ type: 'ip-address', isPersonal: true, names: ['ip', 'ip address'] },
    matches: whole(/^((25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(25[0-5]|2[0-4]\d|1?\d?\d)$/),
  },
  {
    ...{ type: 'person-id', isPersonal: true },
    names: ['ssn', 'passport', 'patient id', 'national id', 'tax id', 'social security'],
  },
  {
    ...{ type: 'person-name', isPersonal: true },
    names: ['first name', 'last name', 'full name', 'surname', 'given name', 'family name'],
  },
  {
    type: 'birth-date',
    isPersonal: true,
    names: ['birth date', 'date of birth', 'dob', 'birthday'],
  },
  { type: 'postal-address', isPersonal: true, names: ['street', 'home address', 'postal address'] },
  {
    ...{ type: 'url', isPersonal: false },
    matches: whole(/^https?:\/\/[^\s<>"]+$/),
  },
  {
    ...{ type: 'uuid', isPersonal: false },
    matches: whole(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i),
  },
  { type: 'latitude', isPersonal: false, names: ['latitude', 'lat'] },
  { type: 'longitude', isPersonal: false, names: ['longitude', 'lon', 'lng'] },
];

/** A name as its words: `patientID`, `patient_id` and `Patient Id` are `patient id`. */
export const wordsOfName = (name: string): string =>
  name
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .replace(/([A-Z]+)([A-Z][a-z])/g, '$1 $2')
    .replace(/[^\p{L}\p{N}]+/gu, ' ')
    .trim()
    .toLowerCase();

/** What a column holds, personal findings first. */
export function findSemanticTypes({ name, values }: ColumnSample): readonly SemanticFinding[] {
  const words = ` ${wordsOfName(name)} `;
  const present = values.map((value) => value.trim()).filter((value) => value !== '');
  const short = present.filter((value) => value.length <= VALUE_CHARS_MAX);
  const found: SemanticFinding[] = [];
  for (const { type, isPersonal, names = [], matches } of RULES) {
    if (names.some((each) => words.includes(` ${each} `)))
      found.push({ type, isPersonal, by: 'name' });
    if (!matches || present.length < VALUES_MIN) continue;
    const share = short.filter(matches).length / present.length;
    if (share >= SHARE_MIN) found.push({ type, isPersonal, by: 'values', share });
  }
  return found.toSorted((a, b) => Number(b.isPersonal) - Number(a.isPersonal));
}

/** Names of the columns that stay private, for `vetoes` of a description. */
export const vetoedColumns = (columns: readonly ColumnSample[]): readonly string[] =>
  columns
    .filter((column) => findSemanticTypes(column).some(({ isPersonal }) => isPersonal))
    .map(({ name }) => name);
