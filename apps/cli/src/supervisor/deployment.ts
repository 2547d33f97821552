/**
 * Prepares a home for a development machine: keys, a genesis that funds them, the storage token, the
 * list of providers. Everything is made once and kept.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DEFAULT_PARAMETERS, DEFAULT_PROFILE, deriveBlsSigner } from '#libs/eda';
import { TOKEN } from '#libs/kernel';
import { type Genesis, decodeGenesis, encodeGenesis, genesisId, provenBlsKey } from '#libs/ledger';
import { readJsonFile, replaceFile } from '../frame/files.ts';
import type { Home } from '../frame/home.ts';
import { prepareHome } from '../frame/prepare-home.ts';
import { accountFile, ensureAccount, readPassphrase } from '../frame/keys.ts';
import type { Ports } from './ports.ts';
import {
  DEFAULT_ACCOUNT,
  DEVELOPMENT_PROVIDERS,
  type Deployment,
  MARKET_KEY,
  REPAIRER_KEY,
  type ProviderProfile,
  SEQUENCER_KEY,
  VALIDATOR_KEYS,
  providerProcess,
} from './processes.ts';

const CONSUMER_FUNDS = 10_000n * TOKEN;
const SERVICE_FUNDS = 1_000n * TOKEN;
/** What a validator pays the report of a contradiction from; fees come on top. */
const VALIDATOR_FUNDS = 10n * TOKEN;
const VALIDATOR_STAKE = 1_000n * TOKEN;

/** Four validators of equal weight; one of them may fail, and lie. */
function developmentOrdering(home: Home, isSolo: boolean): Genesis['ordering'] {
  if (isSolo) return { kind: 'solo', sequencer: ensureAccount(home, SEQUENCER_KEY).publicKey };
  const keys = VALIDATOR_KEYS.map((name) => ensureAccount(home, name));
  return {
    kind: 'eda',
    validators: keys.map(({ publicKey, seed }) => {
      const bls = provenBlsKey(deriveBlsSigner(seed));
      return { publicKey, stake: VALIDATOR_STAKE, bls };
    }),
    stakeUnit: VALIDATOR_STAKE,
    profile: DEFAULT_PROFILE,
    ...DEFAULT_PARAMETERS,
  };
}

function fundsOf(name: string): bigint {
  if (name === DEFAULT_ACCOUNT) return CONSUMER_FUNDS;
  return VALIDATOR_KEYS.some((key) => key === name) ? VALIDATOR_FUNDS : SERVICE_FUNDS;
}

function ensureGenesis(home: Home, isSolo: boolean): Genesis {
  if (existsSync(home.genesis)) return decodeGenesis(readFileSync(home.genesis));
  const keys = new Map(
    [
      DEFAULT_ACCOUNT,
      MARKET_KEY,
      REPAIRER_KEY,
      ...DEVELOPMENT_PROVIDERS.map(({ name }) => providerProcess(name)),
      ...(isSolo ? [] : VALIDATOR_KEYS),
    ].map((name) => [name, ensureAccount(home, name)]),
  );
  const genesis: Genesis = {
    chainName: 'seele-development',
    timeUs: Date.now() * 1000,
    ordering: developmentOrdering(home, isSolo),
    parameters: {
      allocations: [...keys].map(([name, { account }]) => ({
        account,
        amount: fundsOf(name),
      })),
      settings: [],
    },
  };
  writeFileSync(home.genesis, encodeGenesis(genesis), { mode: 0o644 });
  return genesis;
}

export function storageTokenFile(home: Home): string {
  return join(home.path, 'storage-token');
}

function ensureStorageToken(home: Home): string {
  const path = storageTokenFile(home);
  if (!existsSync(path))
    writeFileSync(path, randomBytes(32).toString('base64url'), { mode: 0o600, flag: 'wx' });
  return readFileSync(path, 'utf8').trim();
}

/** As JSON has it: amounts as decimal strings. */
type StoredProfile = {
  readonly [K in keyof ProviderProfile]: ProviderProfile[K] extends bigint
    ? string
    : bigint extends ProviderProfile[K]
      ? string | undefined
      : ProviderProfile[K];
};

const profilesFile = (home: Home) => join(home.path, 'providers.json');

/** The providers that this home runs: those of its chain's first allocations until others are written. */
export function readProfiles(home: Home): readonly ProviderProfile[] {
  const stored = readJsonFile<StoredProfile[]>(profilesFile(home));
  const hasKey = (name: string) => existsSync(accountFile(home, providerProcess(name)));
  if (!stored) return DEVELOPMENT_PROVIDERS.filter(({ name }) => hasKey(name));
  return stored.map(({ storagePrice, bond, ...profile }) => ({
    ...profile,
    pricePerCoreSecond: BigInt(profile.pricePerCoreSecond),
    pricePerGibSecond: BigInt(profile.pricePerGibSecond),
    ...(storagePrice === undefined ? {} : { storagePrice: BigInt(storagePrice) }),
    ...(bond === undefined ? {} : { bond: BigInt(bond) }),
  }));
}

export function writeProfiles(home: Home, profiles: readonly ProviderProfile[]): void {
  const stored: StoredProfile[] = profiles.map(({ storagePrice, bond, ...profile }) => ({
    ...profile,
    pricePerCoreSecond: profile.pricePerCoreSecond.toString(),
    pricePerGibSecond: profile.pricePerGibSecond.toString(),
    ...(storagePrice === undefined ? {} : { storagePrice: storagePrice.toString() }),
    ...(bond === undefined ? {} : { bond: bond.toString() }),
  }));
  replaceFile(profilesFile(home), `${JSON.stringify(stored, null, 2)}\n`);
}

export interface PreparedDeployment extends Deployment {
  readonly chain: string;
  /** True when this call created the chain. */
  readonly fresh: boolean;
}

/**
 * @param isSolo a new chain is to have one sequencer; what is there stays what it is
 * @throws CLI_HOME, CLI_PASSPHRASE, KEYSTORE_…
 */
export function prepareDeployment(home: Home, ports: Ports, isSolo: boolean): PreparedDeployment {
  prepareHome(home);
  const fresh = !existsSync(home.genesis);
  const genesis = ensureGenesis(home, isSolo);
  const { ordering } = genesis;
  return {
    home,
    ports,
    passphrase: readPassphrase(home),
    storageToken: ensureStorageToken(home),
    providers: readProfiles(home),
    validators:
      ordering.kind === 'eda' ? ordering.validators.map(({ publicKey }) => publicKey) : [],
    chain: genesisId(genesis),
    fresh,
  };
}
