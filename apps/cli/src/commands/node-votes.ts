/** `seele node parameters …`, `seele node bls …`: what a validator tells contract `stake` while the chain runs. */
import {
  STAKE_CONTRACT,
  parameterVote,
  parametersEvent,
  readEvent,
  stakeCalls,
  stakeKeys,
  validatorRecord,
} from '#contracts';
import { deriveBlsSigner, provePossession } from '#libs/eda';
import { bytesToHex, decodeWith } from '#libs/kernel';
import { eraOfKey, eraParametersPrefix } from '#libs/ledger';
import { type NodeClient, createNodeClient } from '#libs/platform';
import { sendCalls } from '#libs/sdk';
import { createSigner } from '#libs/crypto';
import { cliError } from '../errors.ts';
import { type CommandContext, wholeNumber } from '../frame/command.ts';
import { serviceUrl, signerOf } from '../frame/connect.ts';
import { openAccount } from '../frame/keys.ts';

interface NodeOption {
  readonly node?: string;
  readonly [name: string]: unknown;
}
interface KeyOption extends NodeOption {
  readonly key: string;
}

type Parameters = {
  readonly epsilonUs: number;
  /** Absent: 200 seats, or all when there are fewer. */
  readonly samplingPerMille?: number | undefined;
};

const connect = (context: CommandContext, { node }: NodeOption): NodeClient =>
  createNodeClient(serviceUrl(context, 'node', node));

const said = ({ epsilonUs, samplingPerMille }: Parameters): string =>
  `interval ${epsilonUs} µs, ${samplingPerMille === undefined ? 'sampling 200 seats or all' : `${samplingPerMille} seats per thousand`}`;

/** What is in force, what will be, and what validators voted for. */
export async function parametersShow(context: CommandContext, options: NodeOption): Promise<void> {
  const { output } = context;
  const node = connect(context, options);
  const { consensus } = await node.status();
  if (!consensus)
    throw cliError(
      'CLI_USAGE',
      `the chain of ${node.url} has one sequencer and no such parameters`,
    );
  const decided: (Parameters & { readonly era: number })[] = [];
  for await (const [key, value] of node.scan(STAKE_CONTRACT, eraParametersPrefix)) {
    const era = eraOfKey(key);
    if (era > consensus.era) decided.push({ era, ...decodeWith(parameterVote, value) });
  }
  const votes: (Parameters & { readonly validator: string })[] = [];
  for await (const [key, value] of node.scan(STAKE_CONTRACT, stakeKeys.votes))
    votes.push({
      validator: bytesToHex(key.subarray(stakeKeys.votes.length)),
      ...decodeWith(parameterVote, value),
    });
  const { era, parameters: inForce } = consensus;
  output.answer({ era, inForce, decided, votes }, () => {
    output.line(`era ${era}: ${said(inForce)}`);
    for (const one of decided) output.line(`  from era ${one.era} on: ${said(one)}`);
    for (const vote of votes) output.line(`  ${vote.validator} votes for ${said(vote)}`);
  });
}

/** Votes; says how much weight agrees, and from which era on once it is enough. */
export async function parametersVote(
  context: CommandContext,
  options: KeyOption & { readonly epsilonUs: string; readonly samplingPerMille: string },
): Promise<void> {
  const { output, home } = context;
  const signer = signerOf(home, options.key);
  const epsilonUs = wholeNumber('--epsilon-us', options.epsilonUs, 1);
  const samplingPerMille = wholeNumber('--sampling-per-mille', options.samplingPerMille, 1);
  const wanted = { epsilonUs, samplingPerMille };
  const vote = stakeCalls.voteParameters({ publicKey: signer.publicKey, ...wanted });
  const { receipt, height } = await sendCalls(connect(context, options), signer, [vote]);
  const era = receipt.events
    .map((event) => readEvent(parametersEvent, event)?.era)
    .find((decidedEra) => decidedEra !== undefined);
  output.answer({ ...wanted, height, ...(era !== undefined && { era }) }, () => {
    output.line(`voted for ${said(wanted)} in block ${height}`);
    if (era === undefined) output.line('  not yet more than two thirds of the weight agree');
    else output.line(`  decided: in force from era ${era} on`);
  });
}

/**
 * Registers the BLS key that follows from the validator's seed, with the proof that it is held; with `next`
 * the one that takes its place.
 */
export async function blsRegister(
  context: CommandContext,
  options: KeyOption & { readonly next?: boolean },
): Promise<void> {
  const { output, home } = context;
  const { seed } = openAccount(home, options.key);
  const signer = createSigner(seed);
  const node = connect(context, options);
  const stored = await node.state(STAKE_CONTRACT, stakeKeys.validator(signer.publicKey));
  const { bls: known, formerBls = [] } = (stored && decodeWith(validatorRecord, stored)) ?? {};
  if (known !== undefined && !options.next) {
    const answer = { bls: known, registered: false };
    output.answer(answer, () => output.line(`${known}\n  is registered already`));
    return;
  }
  const key = deriveBlsSigner(seed, known === undefined ? 0 : formerBls.length + 1);
  const bls = key.publicKey;
  const { publicKey } = signer;
  const call = stakeCalls.registerBls({ publicKey, bls, possession: provePossession(key) });
  const { height } = await sendCalls(node, signer, [call]);
  output.answer({ bls, registered: true, height }, () => {
    output.line(bls);
    output.line(`  registered in block ${height}; in the set two eras later`);
  });
}
