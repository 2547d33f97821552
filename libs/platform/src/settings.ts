/**
 * Settings: every app declares its own once, with a zod schema, a default and a sentence. They are
 * read from the environment, then from `$SEELE_HOME/settings.json` (an object of the same names),
 * then the default. Every mistake is reported at once. A secret may be given as `<NAME>_FILE`, the
 * path of a file that holds it. The table in docs/operations.md is generated from the declarations.
 *
 * @example
 * export const settings = defineSettings('market', {
 *   port: { env: 'SEELE_MARKET_PORT', schema: portNumber, default: 7400, help: 'HTTP port' },
 * });
 * const { port, home } = loadSettings(settings);
 */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { platformError, systemCode } from './errors.ts';

export interface Setting<T> {
  /** Name in the environment and in settings.json. */
  readonly env: string;
  /** Reads the text (or the JSON value) and checks it. */
  readonly schema: z.ZodType<T>;
  /** Taken when nothing is given; without one the setting is required unless `optional`. */
  readonly default?: T;
  readonly optional?: boolean;
  /** Never printed; may come from the file that `<env>_FILE` names. */
  readonly secret?: boolean;
  /** One sentence for the documentation. */
  readonly help: string;
}

export type Declarations = Readonly<Record<string, Setting<never> | Setting<unknown>>>;

type SettingValue<S> =
  S extends Setting<infer T> ? (S extends { optional: true } ? T | undefined : T) : never;

export interface SettingsDefinition<D extends Declarations = Declarations> {
  readonly app: string;
  readonly declarations: D & typeof COMMON_SETTINGS;
}

export type SettingsOf<S> =
  S extends SettingsDefinition<infer D>
    ? {
        readonly [K in keyof (D & typeof COMMON_SETTINGS)]: SettingValue<
          (D & typeof COMMON_SETTINGS)[K]
        >;
      }
    : never;

/** A TCP port; 0 lets the system choose a free one. */
export const portNumber = z.coerce.number<string | number>().int().min(0).max(65_535);
/** Whole milliseconds. */
export const durationMs = z.coerce
  .number<string | number>()
  .int()
  .min(0)
  .max(2 ** 31 - 1);
/** Whole non-negative number. */
export const wholeNumber = z.coerce
  .number<string | number>()
  .int()
  .min(0)
  .max(Number.MAX_SAFE_INTEGER);
export const httpUrl = z
  .url({ protocol: /^https?$/, error: 'expected an http:// or https:// URL' })
  .transform((url) => url.replace(/\/+$/, ''));
export const plainText = z.string().min(1).max(4096);
/** `true`/`false`, `1`/`0`, `yes`/`no`. */
export const flag = z.union([z.boolean(), z.stringbool()]);
/** Absolute path; a relative one counts from the working directory, `~` from the home directory. */
export const filePath = plainText.transform((path) =>
  resolve(path.replace(/^~(?=\/|$)/, homedir())),
);

const COMMON_SETTINGS = {
  home: {
    env: 'SEELE_HOME',
    schema: filePath,
    default: join(homedir(), '.seele'),
    help: 'Directory that holds keys, data, logs and settings.json (default `~/.seele`).',
  },
  logLevel: {
    env: 'SEELE_LOG_LEVEL',
    schema: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']),
    default: 'info',
    help: 'Least severe log lines written to stderr.',
  },
} as const satisfies Declarations;

/** Accepted everywhere though no app reads it through its own declarations. */
const KNOWN_ELSEWHERE = new Set(['SEELE_FAILPOINTS', 'SEELE_SHARED', 'SEELE_PASSPHRASE']);

export function defineSettings<const D extends Declarations>(
  app: string,
  declarations: D,
): SettingsDefinition<D> {
  return { app, declarations: { ...COMMON_SETTINGS, ...declarations } };
}

export interface LoadSettingsOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
}

type Environment = Readonly<Record<string, string | undefined>>;

function readSettingsFile(path: string, problems: string[]): Readonly<Record<string, unknown>> {
  try {
    const parsed: unknown = JSON.parse(readFileSync(path, 'utf8'));
    if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed))
      return parsed as Readonly<Record<string, unknown>>;
    problems.push(`${path}: expected a JSON object of setting names and values`);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT')
      problems.push(`${path}: ${error instanceof Error ? error.message : 'cannot be read'}`);
  }
  return {};
}

function secretFromFile(setting: Setting<unknown>, env: Environment, problems: string[]): unknown {
  const path = env[`${setting.env}_FILE`];
  if (setting.secret !== true || path === undefined || path === '') return undefined;
  try {
    return readFileSync(path, 'utf8').replace(/\r?\n$/, '');
  } catch {
    problems.push(`${setting.env}_FILE: ${path} cannot be read`);
    return undefined;
  }
}

function mistypedNames(definition: SettingsDefinition, env: Environment): string[] {
  const prefix = `SEELE_${definition.app.toUpperCase()}_`;
  const known = new Set(
    Object.values(definition.declarations).flatMap(({ env: name }) => [name, `${name}_FILE`]),
  );
  return Object.keys(env)
    .filter((name) => name.startsWith(prefix) && !known.has(name) && !KNOWN_ELSEWHERE.has(name))
    .map((name) => `${name}: no such setting`);
}

/**
 * Reads and checks an app's settings.
 *
 * @throws PLATFORM_SETTINGS_INVALID naming every setting that is wrong, one per line
 */
export function loadSettings<D extends Declarations>(
  definition: SettingsDefinition<D>,
  options: LoadSettingsOptions = {},
): SettingsOf<SettingsDefinition<D>> {
  const env: Environment = options.env ?? process.env;
  const problems: string[] = mistypedNames(definition, env);
  const home = resolve(
    (env['SEELE_HOME'] || COMMON_SETTINGS.home.default).replace(/^~(?=\/|$)/, homedir()),
  );
  const file = readSettingsFile(join(home, 'settings.json'), problems);
  const values: Record<string, unknown> = {};
  for (const [key, declared] of Object.entries(definition.declarations)) {
    const setting = declared as Setting<unknown>;
    const given =
      (env[setting.env] || undefined) ??
      secretFromFile(setting, env, problems) ??
      file[setting.env];
    if (given === undefined) {
      if (setting.default === undefined && setting.optional !== true)
        problems.push(`${setting.env}: is required (${setting.help})`);
      values[key] = setting.default;
      continue;
    }
    const read = setting.schema.safeParse(given);
    if (read.success) values[key] = read.data;
    else {
      const shown = setting.secret === true ? 'the given secret' : JSON.stringify(given);
      problems.push(
        `${setting.env}: ${shown}: ${read.error.issues.map((i) => i.message).join('; ')}`,
      );
    }
  }
  if (problems.length > 0)
    throw platformError('PLATFORM_SETTINGS_INVALID', problems.join('\n'), {
      detail: { problems: problems.length },
    });
  return values as SettingsOf<SettingsDefinition<D>>;
}

function shownDefault(setting: Setting<unknown>): string {
  // The value differs from machine to machine; what the documentation says must not.
  if (setting.env === 'SEELE_HOME') return '`~/.seele`';
  const { default: value } = setting;
  if (value === undefined) return setting.optional === true ? '–' : 'required';
  if (typeof value === 'string') return value === '' ? '–' : `\`${value}\``;
  if (typeof value === 'bigint') return `\`${value}\``;
  if (Array.isArray(value)) return value.length === 0 ? '–' : `\`${value.join(',')}\``;
  return `\`${JSON.stringify(value)}\``;
}

/** The documentation table of one app's settings, in Markdown. */
export function settingsTable(definition: SettingsDefinition<never> | SettingsDefinition): string {
  const rows = Object.values(definition.declarations as Declarations).map((declared) => {
    const setting = declared as Setting<unknown>;
    const fallback = shownDefault(setting);
    const name =
      setting.secret === true
        ? `\`${setting.env}\` or \`${setting.env}_FILE\``
        : `\`${setting.env}\``;
    return `| ${name} | ${fallback} | ${setting.help.replaceAll('|', '\\|')} |`;
  });
  return ['| setting | default | meaning |', '|---|---|---|', ...rows].join('\n');
}
