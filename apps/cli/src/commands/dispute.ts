/** `seele dispute …`: doubts about delivered results of metered jobs, on the chain. */
import {
  DISPUTES_CONTRACT,
  type DisputeRecord,
  ORDERS_CONTRACT,
  bondRecord,
  disputeId,
  disputeRecord,
  disputesCalls,
  disputesKeys,
  orderRecord,
  ordersKeys,
} from '#contracts';
import {
  type AccountId,
  bytesToHex,
  decodeWith,
  formatAccount,
  formatAmount,
  parseAmount,
  utf8,
} from '#libs/kernel';
import { decodeManifest } from '#libs/market';
import {
  type DisputeKeeper,
  createLogger,
  createSystemClock,
  dutyOf,
  isSameDisputedClaim,
  replayJob,
  roleIn,
  startDisputeKeeper,
} from '#libs/platform';
import { type NodeClient, createNodeClient, sendCalls } from '#libs/sdk';
import { cliError } from '../errors.ts';
import { type CommandContext, wholeNumber } from '../frame/command.ts';
import { accountNames, connectStorage, serviceUrl, signerOf } from '../frame/connect.ts';
import { type MarketOptions, connectMarket, orderIdOf } from '../frame/market.ts';
import type { Json } from '../frame/output.ts';
import { shorten, tableLines } from '../frame/table.ts';

export interface DisputeOptions extends MarketOptions {
  readonly node?: string;
  readonly storage?: string;
  readonly token?: string;
}

interface Found {
  readonly id: string;
  readonly dispute: DisputeRecord;
}

const PREFIX = utf8('dispute/').length;
const LOOK_MS = 1_000;

const nodeOf = (context: CommandContext, { node }: DisputeOptions): NodeClient =>
  createNodeClient(serviceUrl(context, 'node', node));

async function allDisputes(node: NodeClient): Promise<Found[]> {
  const found: Found[] = [];
  for await (const [key, value] of node.scan(DISPUTES_CONTRACT, disputesKeys.disputes))
    found.push({ id: bytesToHex(key.subarray(PREFIX)), dispute: decodeWith(disputeRecord, value) });
  return found;
}

/** By its id or its order's, or the beginning of either. @throws CLI_USAGE */
async function disputeNamed(node: NodeClient, given: string): Promise<Found> {
  const found = (await allDisputes(node)).filter(
    ({ id, dispute }) => id.startsWith(given) || dispute.order.startsWith(given),
  );
  if (found.length === 1 && found[0]) return found[0];
  throw cliError('CLI_USAGE', `${found.length} disputes are of "${given}"`);
}

const US_PER_MS = 1000;
const isoOf = (timeUs: number): string => new Date(timeUs / US_PER_MS).toISOString();

const who = (account: AccountId, names: ReadonlyMap<string, string>): string =>
  names.get(formatAccount(account)) ?? formatAccount(account);

function documentOf({ id, dispute }: Found) {
  const { order, phase, ruling, agreed, open, bond, moveByUs, panel } = dispute;
  const claim = ({
    exit,
    fuel,
    checkpoints,
    checkpointsRoot,
    outputChain,
  }: DisputeRecord['defence']) => ({
    ...{ exit, fuel: fuel.toString(), checkpoints, checkpointsRoot, outputChain },
  });
  return {
    ...{ id, order, phase, ruling: ruling ?? null, bond: bond.toString() },
    defender: formatAccount(dispute.defender),
    challenger: formatAccount(dispute.challenger),
    consumer: formatAccount(dispute.consumer),
    ...{ defence: claim(dispute.defence), challenge: claim(dispute.challenge) },
    ...{ agreed, open, moveBy: isoOf(moveByUs) },
    panel: panel.map(({ account, commitment, finding }) => ({
      account: formatAccount(account),
      ...{ committed: commitment !== undefined, finding: finding ?? null },
    })),
  };
}

/** Where it stands, in words. */
function stateWords({ phase, ruling, agreed, open, panel, moveByUs }: DisputeRecord): string {
  if (phase === 'decided') return `decided: ${ruling ?? 'undecided'}`;
  const until = `by ${isoOf(moveByUs).slice(0, 19)}`;
  if (phase === 'bisect') return `both show checkpoint ${(agreed + open) >>> 1} ${until}`;
  const done = panel.filter(({ commitment, finding }) =>
    phase === 'commit' ? commitment : finding,
  );
  return `${done.length} of ${panel.length} on the panel have ${phase === 'commit' ? 'committed' : 'said what they found'}, ${until}`;
}

export async function disputeList(context: CommandContext, options: DisputeOptions): Promise<void> {
  const { output, home } = context;
  const found = await allDisputes(nodeOf(context, options));
  const names = accountNames(home);
  output.answer({ disputes: found.map(documentOf) }, () => {
    if (found.length === 0) return output.line('No disputes on this chain.');
    const rows = found.map(({ id, dispute }) => [
      ...[id.slice(0, 12), dispute.order.slice(0, 12), who(dispute.defender, names)],
      ...[who(dispute.challenger, names), stateWords(dispute)],
    ]);
    for (const line of tableLines(['dispute', 'order', 'provider', 'challenger', 'state'], rows))
      output.line(line);
  });
}

export async function disputeShow(
  context: CommandContext,
  options: DisputeOptions,
  given: string,
): Promise<void> {
  show(context, await disputeNamed(nodeOf(context, options), given));
}

function show(context: CommandContext, found: Found): void {
  const { output, home } = context;
  const { dispute } = found;
  const names = accountNames(home);
  output.answer({ dispute: documentOf(found) }, () => {
    output.line(`${found.id}  ${stateWords(dispute)}`);
    const side = ({ exit, fuel, checkpoints, outputChain }: DisputeRecord['defence']) =>
      `exit ${exit}, ${fuel} fuel, ${checkpoints} checkpoints, output ${shorten(outputChain)}`;
    const rows = [
      ['order', dispute.order],
      ['provider', `${who(dispute.defender, names)}: ${side(dispute.defence)}`],
      ['challenger', `${who(dispute.challenger, names)}: ${side(dispute.challenge)}`],
      ['bond', `${formatAmount(dispute.bond)} put down by the challenger`],
      [
        'agreed',
        `checkpoints below ${dispute.agreed}; the first difference is at or below ${dispute.open}`,
      ],
      ...dispute.panel.map(({ account, finding }) => [
        'panel',
        `${who(account, names)}: ${finding ?? '–'}`,
      ]),
    ];
    for (const line of tableLines([], rows)) output.line(`  ${line}`);
  });
}

/** Runs the job again here, and disputes what the provider delivered where that is something else. */
export async function disputeOpen(
  context: CommandContext,
  options: DisputeOptions & { readonly follow?: boolean; readonly timeout: string },
  given: string,
): Promise<void> {
  const { output, home, signal } = context;
  const node = nodeOf(context, options);
  const order =
    given.length === 64 ? given : await orderIdOf(connectMarket(context, options), given);
  const signer = signerOf(home, options.from ?? 'default');
  const stored = await node.state(ORDERS_CONTRACT, ordersKeys.order(order));
  const record = stored && decodeWith(orderRecord, stored);
  const metered = record?.delivery?.metered;
  if (!record?.delivery || !metered)
    throw cliError('CLI_USAGE', `the chain has no delivery of a metered job for order ${order}`);
  const store = connectStorage(context, options);
  output.status('running the job again');
  const { manifest: cid } = record.order;
  const run = await replayJob(
    store,
    decodeManifest(await store.getBlock(cid)),
    cid,
    signal,
  ).finally(() => store.close());
  const { exit } = record.delivery;
  const { fuel, checkpoints, checkpointsRoot, outputChain, outputBytes } = metered;
  const defence = { exit, fuel, checkpoints, checkpointsRoot, outputChain, outputBytes };
  if (isSameDisputedClaim(run.claim, defence))
    throw cliError(
      'CLI_CHECK_FAILED',
      'run again here, it comes to the very same: there is nothing to dispute',
    );
  await sendCalls(node, signer, [disputesCalls.open({ order, claim: run.claim })]);
  const id = disputeId(order, signer.account);
  output.status('');
  if (options.follow) return answerUntilDecided(context, options, id);
  show(context, await disputeNamed(node, id));
  output.line(
    `  next: seele dispute answer ${id.slice(0, 12)} plays your part until it is decided`,
  );
}

/** Plays this account's part in a dispute until it is decided. */
export async function disputeAnswer(
  context: CommandContext,
  options: DisputeOptions & { readonly timeout: string },
  given: string,
): Promise<void> {
  const { id, dispute } = await disputeNamed(nodeOf(context, options), given);
  const { account } = signerOf(context.home, options.from ?? 'default');
  if (!roleIn(dispute, account))
    throw cliError('CLI_USAGE', `${formatAccount(account)} has no part in dispute ${id}`);
  await answerUntilDecided(context, options, id);
}

async function answerUntilDecided(
  context: CommandContext,
  options: DisputeOptions & { readonly timeout: string },
  id: string,
): Promise<void> {
  const { output, home, signal } = context;
  const node = nodeOf(context, options);
  const signer = signerOf(home, options.from ?? 'default');
  const blobs = connectStorage(context, options);
  const clock = createSystemClock();
  const until = Date.now() + wholeNumber('--timeout', options.timeout, 1) * 1000;
  const keeper: DisputeKeeper = startDisputeKeeper({
    ...{ node, signer, blobs, clock, everyMs: 3_600_000, isChallenger: () => true },
    logger: createLogger({ name: 'cli', level: 'silent' }),
    submit: async (_key, call) => void (await sendCalls(node, signer, [call])),
  });
  try {
    for (;;) {
      await keeper.look();
      const found = await disputeNamed(node, id);
      if (found.dispute.phase === 'decided') return show(context, found);
      const owed = dutyOf(found.dispute, signer.account, clock.nowUs());
      output.status(`${stateWords(found.dispute)}${owed ? `; yours: ${owed}` : ''}`);
      if (Date.now() > until || signal.aborted)
        throw cliError('CLI_TIMEOUT', `dispute ${id} is at ${found.dispute.phase}; it goes on`);
      await new Promise((resume) => setTimeout(resume, LOOK_MS));
    }
  } finally {
    output.status('');
    keeper.stop();
    await blobs.close();
  }
}

/** Puts money down that wrong results cost, or shows what is bonded. */
export async function disputeBond(
  context: CommandContext,
  options: DisputeOptions,
  amount?: string,
): Promise<void> {
  const { output, home } = context;
  const node = nodeOf(context, options);
  const signer = signerOf(home, options.from ?? 'default');
  if (amount !== undefined)
    await sendCalls(node, signer, [disputesCalls.bond({ amount: parseAmount(amount) })]);
  const stored = await node.state(DISPUTES_CONTRACT, disputesKeys.bond(signer.account));
  const { bonded, open } = stored ? decodeWith(bondRecord, stored) : { bonded: 0n, open: 0 };
  const document = { account: formatAccount(signer.account), bonded: bonded.toString(), open };
  output.answer(document satisfies Json, () =>
    output.line(`${formatAmount(bonded)} bonded, ${open} disputes open`),
  );
}
