/**
 * `seele sim market`: runs seeds of the market simulation and prints what came of them. A failing seed
 * is printed with the command that replays it.
 *
 * Exit code: 0 when every invariant held, every trace repeated and every mutant was caught; 1 when not;
 * 2 for wrong usage.
 */
import process, { stderr, stdout } from 'node:process';
import { fileURLToPath } from 'node:url';
import { WrongUsage, readOptions, refuse } from '../../support/refusal.ts';
import { runTiers, tiersText } from './tiers/run-tiers.ts';
import { type SimulationOptions, type SimulationReport, simulateMarket } from './simulate.ts';

export * from './simulate.ts';

export type SimMarketCommand =
  | { readonly scenario: 'faults'; readonly options: SimulationOptions; readonly json: boolean }
  | { readonly scenario: 'tiers'; readonly seed: number; readonly json: boolean };

const wholeNumber = (text: string): number | undefined =>
  /^\d{1,9}$/.test(text) ? Number(text) : undefined;

const OPTIONS = {
  seed: { type: 'string' },
  seeds: { type: 'string' },
  orders: { type: 'string' },
  'no-mutants': { type: 'boolean' },
  json: { type: 'boolean' },
} as const;

/** Reads the command line. @throws WrongUsage */
export function readSimMarketArguments(args: readonly string[]): SimMarketCommand {
  const values = readOptions(args, OPTIONS);
  if (values.seed !== undefined && values.seeds !== undefined)
    throw new WrongUsage('give --seed or --seeds, not both');
  const json = values.json === true;
  if (values.seed !== undefined) {
    const seed = wholeNumber(values.seed);
    if (seed === undefined) throw new WrongUsage(`--seed is a whole number, not "${values.seed}"`);
    if (values.orders !== undefined || values['no-mutants'])
      throw new WrongUsage('--orders and --no-mutants go with --seeds');
    return { scenario: 'tiers', seed, json };
  }
  const range = (values.seeds ?? '1-50').split('-');
  const from = wholeNumber(range[0] ?? '');
  const to = range.length === 1 ? from : wholeNumber(range[1] ?? '');
  if (from === undefined || to === undefined || to < from || range.length > 2)
    throw new WrongUsage(
      `--seeds are whole numbers, a range A-B with A first, not "${values.seeds}"`,
    );
  const orders = values.orders === undefined ? undefined : wholeNumber(values.orders);
  if (values.orders !== undefined && (orders === undefined || orders < 1 || orders > 60))
    throw new WrongUsage(`--orders is a number from 1 to 60, not "${values.orders}"`);
  const isOne = from === to;
  const options: SimulationOptions = {
    from,
    to,
    repeatEvery: isOne ? 1 : 10,
    mutants: !isOne && values['no-mutants'] !== true,
    ...(orders !== undefined && { orders }),
  };
  return { scenario: 'faults', options, json };
}

/** True when the report shows nothing wrong. */
export const isGood = (report: SimulationReport): boolean =>
  report.violations === 0 && report.mutantsCaught === report.mutantsTried;

/** The report for people. */
export function reportText(report: SimulationReport): string {
  const lines = [
    `${report.seedsTried} seeds, ${report.virtualSeconds} virtual seconds, ${report.events} events (${report.eventsPerSecond}/s)`,
    `${report.violations} violations; ${report.seedsRepeated} seeds run twice, ${report.tracesDiffering} traces differ`,
    `trace ${report.traceHash}`,
  ];
  for (const { seed, what, replay } of report.failures)
    lines.push(`seed ${seed}: ${what}`, `  replay: ${replay}`);
  if (report.mutantsTried > 0)
    lines.push(`${report.mutantsCaught} of ${report.mutantsTried} broken systems noticed`);
  for (const { name, caughtBySeed, invariant } of report.mutants)
    lines.push(
      caughtBySeed === null
        ? `  NOT NOTICED: ${name}`
        : `  ${name}: seed ${caughtBySeed}, ${invariant}`,
    );
  if (report.neverHappened.length > 0 && report.seedsTried >= 50)
    lines.push(`never happened: ${report.neverHappened.join(', ')}`);
  return `${lines.join('\n')}\n`;
}

/** Runs the command; returns its exit code. */
export async function runSimMarket(args: readonly string[]): Promise<number> {
  let command: SimMarketCommand;
  try {
    command = readSimMarketArguments(args);
  } catch (error) {
    return refuse(error);
  }
  if (command.scenario === 'tiers') {
    const report = runTiers(command.seed);
    stdout.write(command.json ? `${JSON.stringify(report)}\n` : tiersText(report));
    return report.outsideDomain === 0 ? 0 : 1;
  }
  const { options, json } = command;
  const last = options.to - options.from + 1;
  let done = 0;
  const report = await simulateMarket({
    ...options,
    onSeed({ seed, violations }) {
      done += 1;
      if (stderr.isTTY) stderr.write(`\r${done}/${last} seeds`);
      if (violations.length > 0) stderr.write(`\nseed ${seed}: ${violations[0]?.text}\n`);
    },
  });
  if (stderr.isTTY) stderr.write('\r\u001B[K');
  stdout.write(json ? `${JSON.stringify(report)}\n` : reportText(report));
  return isGood(report) ? 0 : 1;
}

// Not exit(): what was written to a pipe may not have left yet.
if (process.argv[1] === fileURLToPath(import.meta.url))
  process.exitCode = await runSimMarket(process.argv.slice(2));
