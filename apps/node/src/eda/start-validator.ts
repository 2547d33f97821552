/** Puts a validator together: key, journal, transport, consensus. */
import type { Signer } from '#libs/crypto';
import type { Bytes } from '#libs/kernel';
import { type Profile, toleranceWarning } from '#libs/eda';
import { type EdaOrdering, genesisValidators } from '#libs/ledger';
import { type LinkNote, type Transport, createTcpTransport } from '#libs/net';
import { type Logger, createSystemRandomness } from '#libs/platform';
import { type OpenedJournal, openJournal } from './journal-file.ts';
import { decodeBegan, encodeBegan } from './roll-call.ts';
import { type ValidatorOptions, ValidatorProducer } from './validator.ts';
import { readListen, readPeers } from './peers.ts';
import { BEGIN_KEY, JOURNAL_KEY, PROTOCOLS } from './wire.ts';

/** What an operator should know of a chain's profile. */
export function edaNotice(ordering: EdaOrdering): string {
  const { profile, weights, failed, lying, total, quorum } = genesisValidators(ordering);
  const warning = toleranceWarning(profile satisfies Profile, weights);
  const facts = `EDA consensus, profile ${profile}: of weight ${total}, ${failed} may fail and ${lying} of it lie; certificates need ${quorum}`;
  return warning === undefined ? facts : `${facts}. ${warning}`;
}

export interface StartValidatorOptions extends Omit<
  ValidatorOptions,
  'journal' | 'records' | 'transport' | 'journalLost' | 'began'
> {
  readonly directory: string;
  readonly listen: string;
  readonly advertised?: string;
  readonly peers: string;
  /** The operator says that the journal of this key was lost, or that the key never voted; else it is found out. */
  readonly journalLost: boolean | undefined;
  /** For test doubles: what the validator says goes through this. */
  readonly wrap?: (transport: Transport) => Transport;
}

function noteLink(logger: Logger, { what, peer, address, end, detail }: LinkNote): void {
  const level = what === 'up' || what === 'dial-failed' ? 'debug' : 'info';
  logger[level]({ peer, address, end, detail }, `link ${what}`);
}

export interface StartedValidator {
  readonly producer: ValidatorProducer;
  readonly transport: Transport;
  /** Where peers reach this node. */
  readonly address: string;
}

/** @throws LEDGER_PEER_INVALID, NET_LISTEN, storage errors */
export async function startValidator(options: StartValidatorOptions): Promise<StartedValidator> {
  const { chain, store, signer, clock, logger } = options;
  const randomness = createSystemRandomness();
  const peers = readPeers(options.peers);
  const expected = store.get(JOURNAL_KEY);
  const { journal, records, state } = await openJournal(
    options.directory,
    expected,
    randomness.bytes(16),
  );
  const { journalLost, began } = await seatOf(options, expected, { journal, records, state });
  const { wrap = (it: Transport) => it } = options;
  const transport = wrap(
    createTcpTransport({
      ...readListen(options.listen),
      ...(options.advertised === undefined ? {} : { advertised: options.advertised }),
      signer,
      network: chain.id,
      protocols: PROTOCOLS,
      admit: admission(options, signer, new Set(peers.map(({ publicKey }) => publicKey))),
      clock,
      randomness,
      onNote: (note) => noteLink(logger, note),
    }),
  );
  const producer = new ValidatorProducer({
    ...options,
    journal,
    records,
    transport,
    journalLost,
    began,
  });
  const address = await transport.listen();
  for (const peer of peers)
    if (peer.publicKey !== signer.publicKey) transport.dial(peer.publicKey, peer.address);
  return { producer, transport, address };
}

/**
 * Whether this validator may vote at once, from what lies in its directory and what the operator says;
 * what it finds is stored, so that the next start finds the same.
 */
async function seatOf(
  options: StartValidatorOptions,
  expected: Bytes | undefined,
  { journal, records, state }: OpenedJournal,
): Promise<Pick<ValidatorOptions, 'journalLost' | 'began'>> {
  const { chain, store, signer, logger, directory } = options;
  const isAtGenesis = chain.head.header.height === 0;
  const said = options.journalLost;
  const isEmpty = state === 'fresh';
  const isLost =
    state === 'lost' || said === true || (isEmpty && said === undefined && !isAtGenesis);
  const stored = store.get(BEGIN_KEY);
  let began = isLost ? undefined : ((stored && decodeBegan(stored)) ?? (isEmpty ? [] : undefined));
  // This key never voted: it begins whatever the others say.
  if (said === false && isAtGenesis && began?.length === 0)
    began = [{ publicKey: signer.publicKey, journal: journal.id }];
  if (isLost)
    logger.warn(
      { directory },
      'the journal of votes is missing or damaged: this validator only watches until the others have said what it signed and are past it',
    );
  const value = began ? encodeBegan(began) : null;
  if (expected === undefined || isLost || said !== undefined)
    await store.commit([
      { key: JOURNAL_KEY, value: journal.id },
      { key: BEGIN_KEY, value },
    ]);
  const hasBegun = records.some((entry) => entry.kind === 'recovery' && entry.isOver);
  return { journalLost: isLost || (began !== undefined && !hasBegun), began };
}

/** Peers from the settings, and whoever validates now or in the next eras. */
function admission({ chain }: StartValidatorOptions, signer: Signer, known: ReadonlySet<string>) {
  return (peer: string): boolean => {
    if (peer === signer.publicKey) return false;
    if (known.has(peer)) return true;
    const { era } = chain;
    return [era - 1, era, era + 1, era + 2].some((of) => chain.validators(of).indexOf(peer) >= 0);
  };
}
