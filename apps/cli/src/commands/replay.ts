/**
 * `seele job replay`: runs a wasm or verifiable job again on this machine and compares output, fuel and
 * every checkpoint with what a receipt claims; or decides between two claims by their first difference.
 */
import { type JobClaim, type JobVerdict, bisect } from '#libs/vm';
import { jobClaimOf } from '#libs/market';
import { fetchGround, outputCid, runAgain } from '#libs/platform';
import { cliError } from '../errors.ts';
import type { CommandContext } from '../frame/command.ts';
import { connectStorage } from '../frame/connect.ts';
import { readUserFile } from '../frame/files.ts';
import { type MarketOptions, connectMarket, orderIdOf } from '../frame/market.ts';
import type { Json } from '../frame/output.ts';
import { formatDuration, shorten } from '../frame/table.ts';
import {
  type ReceiptClaim,
  type StatedResult,
  claimOfReceipt,
  readImages,
  readStatedResult,
  saveImage,
  saveResult,
} from '../replay/claim-file.ts';
import { fetchReceipt, homeGenesisId } from './receipt.ts';

export interface ReplayOptions extends MarketOptions {
  readonly receipt?: string;
  readonly against?: string;
  readonly save?: string;
  readonly images?: string;
  readonly storage?: string;
  readonly token?: string;
}

/** So many images of a run are kept at most, evenly spread. */
const IMAGES = 16n;

interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly claimed: string;
  readonly found: string;
}

/** From where to where in fuel, and by which checkpoint, two runs part. */
interface Segment {
  readonly checkpoint: number | null;
  readonly fromFuel: string;
  readonly toFuel: string;
}

async function claimNamed(
  context: CommandContext,
  options: ReplayOptions,
  given: string | undefined,
): Promise<ReceiptClaim> {
  const trust = homeGenesisId(context.home);
  if ((given === undefined) === (options.receipt === undefined))
    throw cliError('CLI_USAGE', 'name an order, or a receipt with --receipt FILE');
  if (options.receipt !== undefined) return claimOfReceipt(readUserFile(options.receipt), trust);
  const market = connectMarket(context, options);
  const id = await orderIdOf(market, given ?? '');
  return claimOfReceipt(await fetchReceipt(context, market, id), trust);
}

export async function jobReplay(
  context: CommandContext,
  options: ReplayOptions,
  given?: string,
): Promise<void> {
  const { output } = context;
  const claim = await claimNamed(context, options, given);
  for (const doubt of claim.doubts) output.note(`The receipt does not hold: ${doubt}`);
  const store = connectStorage(context, options);
  try {
    const ground = await fetchGround(store, claim);
    await (options.against === undefined
      ? compareWithRun(context, options, claim, ground)
      : decide(context, options, claim, ground, options.against));
  } finally {
    await store.close();
  }
}

type Ground = Awaited<ReturnType<typeof fetchGround>>;

async function compareWithRun(
  context: CommandContext,
  options: ReplayOptions,
  claim: ReceiptClaim,
  ground: Ground,
): Promise<void> {
  const { output, signal } = context;
  const { images } = options;
  const total = claim.run.fuel;
  const startedAtMs = performance.now();
  let checkpoints = 0;
  const work = { ...ground, imageFuel: images === undefined ? 0n : total / IMAGES + 1n };
  const { verdict, output: parts } = await runAgain(
    work,
    'verdict',
    (news) => {
      if (news.is === 'image' && images !== undefined) saveImage(images, news.image);
      if (news.is !== 'checkpoint') return;
      const share = total === 0n ? 100n : (news.fuel * 100n) / total;
      output.status(
        `running again: ${share} %, checkpoint ${++checkpoints} of ${claim.checkpoints.length}`,
      );
    },
    signal,
  );
  const result = verdict.exit === 'ok' ? await outputCid(parts) : undefined;
  if (options.save !== undefined) saveResult(options.save, claim.manifestCid, verdict, result);
  const ms = Math.round(performance.now() - startedAtMs);
  const checks = checksOf(claim, verdict, result);
  const differs = segmentOf(jobClaimOf(claim), verdict);
  const ok = checks.every((check) => check.ok);
  const { engine } = claim.run;
  const document = {
    ok,
    ...{ manifest: claim.manifestCid, engine, kind: claim.manifest.kind },
    ...{ fuel: verdict.fuelUsed.toString(), checkpoints: verdict.checkpoints.length, ms },
    checks: checks.map((check) => ({ ...check })),
    ...(differs && { firstDifference: { ...differs } }),
    doubts: [...claim.doubts],
  } satisfies Json;
  output.answer(document, () => {
    output.line(`run again here in ${formatDuration(ms)}, engine ${shorten(engine)}`);
    for (const check of checks) output.line(checkLine(output.style, check));
    if (differs) output.line(`  ${segmentWords(differs)}`);
    output.line(
      ok
        ? output.style('green', 'The result is what this program gives on this data.')
        : output.style('red', 'The result is not what this program gives on this data.'),
    );
  });
  if (!ok) throw cliError('CLI_CHECK_FAILED', `the run here differs: ${failedNames(checks)}`);
}

const failedNames = (checks: readonly Check[]): string =>
  checks
    .filter(({ ok }) => !ok)
    .map(({ name }) => name)
    .join(', ');

function checkLine(
  style: CommandContext['output']['style'],
  { ok, name, claimed, found }: Check,
): string {
  if (ok) return `${style('green', '✓')} ${name} ${claimed}`;
  return `${style('red', '✗')} ${name}: claimed ${claimed}, here ${found}`;
}

function checksOf(claim: ReceiptClaim, verdict: JobVerdict, result: string | undefined): Check[] {
  const check = (name: string, claimed: string, found: string): Check => ({
    ...{ name, claimed, found },
    ok: claimed === found,
  });
  const same = verdict.checkpoints.filter((checkpoint, i) => {
    const stated = claim.checkpoints[i];
    return stated?.root === checkpoint.root && stated.fuel === checkpoint.fuel;
  }).length;
  const [stated, here] = [claim.checkpoints.length, verdict.checkpoints.length];
  return [
    check('exit', claim.exit, verdict.exit),
    check('output', claim.result ?? 'none', result ?? 'none'),
    check('fuel', claim.run.fuel.toString(), verdict.fuelUsed.toString()),
    check('outputChain', claim.run.outputChain, verdict.io.outputChain),
    {
      ...{ name: 'checkpoints', ok: stated === here && same === here },
      ...{ claimed: String(stated), found: `${here}, of which ${same} are equal` },
    },
  ];
}

/** The segment in which they part; undefined when they agree in everything. */
function segmentOf(first: JobClaim, second: JobClaim): Segment | undefined {
  const where = bisect(first, second);
  if (where.kind === 'none') return undefined;
  const at = where.kind === 'checkpoint' ? where.index : undefined;
  const before = first.checkpoints[(at ?? first.checkpoints.length) - 1]?.fuel ?? 0n;
  const until =
    at === undefined ? first.fuelUsed : (first.checkpoints[at] ?? second.checkpoints[at])?.fuel;
  return {
    checkpoint: at ?? null,
    fromFuel: before.toString(),
    toFuel: (until ?? first.fuelUsed).toString(),
  };
}

function segmentWords({ checkpoint, fromFuel, toFuel }: Segment): string {
  const where =
    checkpoint === null ? 'after the last checkpoint' : `up to checkpoint ${checkpoint + 1}`;
  return `they part ${where}: segment from ${fromFuel} to ${toFuel} fuel`;
}

/** Decides between the receipt and another result of the same job, by running one stretch. */
async function decide(
  context: CommandContext,
  options: ReplayOptions,
  claim: ReceiptClaim,
  ground: Ground,
  path: string,
): Promise<void> {
  const { output, signal, home } = context;
  const other = readStatedResult(path, homeGenesisId(home));
  for (const doubt of other.doubts) output.note(`${path} does not hold: ${doubt}`);
  if (other.manifestCid !== claim.manifestCid)
    throw cliError(
      'CLI_USAGE',
      `${path} is a result of another job, manifest ${other.manifestCid}`,
    );
  const first = jobClaimOf(claim);
  const segment = segmentOf(first, other.claim);
  if (!segment) return agreed(context, claim, other);
  output.status(segmentWords(segment));
  const images = options.images === undefined ? [] : readImages(options.images);
  const { ruling } = await runAgain(
    { ...ground, imageFuel: 0n, dispute: { first, second: other.claim, images } },
    'ruling',
    () => {},
    signal,
  );
  const right = { first: 'receipt', second: 'against', neither: 'neither' } as const;
  const bearsOut = right[ruling.ruling];
  const startFuel = ruling.from === 0 ? '0' : first.checkpoints[ruling.from - 1]?.fuel.toString();
  const ran = { fromFuel: startFuel ?? '0', toFuel: segment.toFuel };
  const ok = bearsOut === 'receipt';
  output.answer({ ok, same: false, bearsOut, segment: { ...segment }, ran }, () => {
    output.line(segmentWords(segment));
    output.line(`  run again here: from ${ran.fromFuel} to ${ran.toFuel} fuel`);
    output.line(
      {
        receipt: output.style('green', `The receipt is right, ${path} is wrong.`),
        against: output.style('red', `${path} is right, the receipt is wrong.`),
        neither: output.style('red', 'Both are wrong.'),
      }[bearsOut],
    );
  });
  if (!ok) throw cliError('CLI_CHECK_FAILED', `the run here bears out ${bearsOut}`);
}

/** Nothing to run: fuel, output and all checkpoints are the same in both. */
function agreed({ output }: CommandContext, claim: ReceiptClaim, other: StatedResult): void {
  const same = claim.result === other.result;
  output.answer({ ok: same, same, bearsOut: null }, () =>
    output.line(same ? 'Both say the same.' : 'Both ran alike, but name different outputs.'),
  );
  if (!same) throw cliError('CLI_CHECK_FAILED', 'the two name different outputs');
}
