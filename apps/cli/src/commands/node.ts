/** `seele node …`: what a chain on several machines begins with: keys of validators and a genesis. */
import { existsSync, writeFileSync } from 'node:fs';
import { genesisSettings } from '#contracts';
import {
  DEFAULT_PARAMETERS,
  PROFILES,
  type Profile,
  deriveBlsSigner,
  toleranceWarning,
} from '#libs/eda';
import {
  TOKEN,
  bytesToHex,
  formatAccount,
  hexToBytes,
  parseAccount,
  parseAmount,
} from '#libs/kernel';
import {
  type Genesis,
  encodeGenesis,
  genesisId,
  genesisValidators,
  provenBlsKey,
} from '#libs/ledger';
import { cliError } from '../errors.ts';
import { type CommandContext, wholeNumber } from '../frame/command.ts';
import { prepareHome } from '../frame/prepare-home.ts';
import { accountFile, ensureAccount } from '../frame/keys.ts';

const STAKE_UNIT = 1_000n * TOKEN;
/** A validator as a genesis names it: public key, BLS key and the proof that it is held, both optional. */
const VALIDATOR = /^(01[0-9a-f]{64})(?::([0-9a-f]{96}):([0-9a-f]{192}))?$/;

export interface NodeInitOptions {
  readonly key: string;
  readonly [name: string]: unknown;
}

/** Makes the key of a validator, once, and says what others have to know of it. */
export async function nodeInit(context: CommandContext, options: NodeInitOptions): Promise<void> {
  const { home, output } = context;
  prepareHome(home);
  const { publicKey, account, seed } = ensureAccount(home, options.key);
  const bls = provenBlsKey(deriveBlsSigner(seed));
  const validator = `${publicKey}:${bls.publicKey}:${bytesToHex(bls.possession)}`;
  const file = accountFile(home, options.key);
  const address = formatAccount(account);
  output.answer({ key: options.key, publicKey, validator, account: address, file }, () => {
    output.line(validator);
    output.line(`  account ${address}, key file ${file} (encrypted; keep a copy)`);
    output.line(
      '  next: give this line to whoever makes the genesis (seele node genesis --validators)',
    );
  });
  return Promise.resolve();
}

export interface NodeGenesisOptions {
  readonly name: string;
  readonly validators: string;
  readonly fund?: readonly string[];
  readonly profile: string;
  readonly deltaMs: string;
  readonly out: string;
  readonly [name: string]: unknown;
}

/** `publicKey[:bls:possession][=weight]`, separated by commas. */
function readValidators(text: string): Extract<Genesis['ordering'], { kind: 'eda' }>['validators'] {
  return text.split(',').map((part) => {
    const [name = '', weight = '1'] = part.trim().split('=');
    const [, publicKey, bls, proof] = VALIDATOR.exec(name) ?? [];
    if (publicKey === undefined)
      throw cliError(
        'CLI_USAGE',
        `--validators: ${JSON.stringify(part)} is not a public key (01…), alone or as "seele node init" prints it`,
      );
    const stake = BigInt(wholeNumber('--validators', weight, 1)) * STAKE_UNIT;
    const possession = proof === undefined ? undefined : hexToBytes(proof);
    if (bls === undefined || possession === undefined) return { publicKey, stake };
    return { publicKey, stake, bls: { publicKey: bls, possession } };
  });
}

function readFunds(funds: readonly string[]): { account: string; amount: bigint }[] {
  return funds.map((fund) => {
    const [account = '', amount = ''] = fund.split('=');
    return { account: parseAccount(account), amount: parseAmount(amount) };
  });
}

/** Writes the genesis of a chain. The same file goes to every machine. */
export async function nodeGenesis(
  { output }: CommandContext,
  options: NodeGenesisOptions,
): Promise<void> {
  const { profile, out } = options;
  if (!PROFILES.includes(profile as Profile))
    throw cliError('CLI_USAGE', `--profile is one of ${PROFILES.join(', ')}, not "${profile}"`);
  if (existsSync(out)) throw cliError('CLI_USAGE', `${out} exists; a genesis is never replaced`);
  const ordering = {
    kind: 'eda' as const,
    validators: readValidators(options.validators),
    stakeUnit: STAKE_UNIT,
    profile: profile as Profile,
    ...DEFAULT_PARAMETERS,
    deltaUs: wholeNumber('--delta-ms', options.deltaMs, 1) * 1_000,
  };
  const genesis: Genesis = {
    chainName: options.name,
    timeUs: Date.now() * 1_000,
    ordering,
    parameters: { allocations: readFunds(options.fund ?? []), settings: genesisSettings },
  };
  const { weights, total, failed, lying, quorum } = genesisValidators(ordering);
  const warning = toleranceWarning(ordering.profile, weights);
  writeFileSync(out, encodeGenesis(genesis), { mode: 0o644, flag: 'wx' });
  const chain = genesisId(genesis);
  const tolerance = { total, failed, lying, quorum };
  output.answer({ chain, file: out, tolerance, ...(warning && { warning }) }, () => {
    output.line(chain);
    output.line(
      `  of weight ${total}, ${failed} may fail and ${lying} of it lie; certificates need ${quorum}`,
    );
    if (warning) output.line(output.style('yellow', `  warning: ${warning}`));
    output.line(`  next: copy ${out} to every machine and start the nodes (docs/cluster.md)`);
  });
  return Promise.resolve();
}
