import { createSigner, hashOf, sha256 } from '#libs/crypto';
import {
  DEFAULT_PARAMETERS,
  type EdaMessage,
  type JournalRecord,
  type SealedBlock,
  ZERO_HASH,
  createAuthenticator,
  createValidatorSet,
  decodeMessage,
  signedBytes,
  signingDomain,
} from '#libs/eda';
import { type Bytes, utf8 } from '#libs/kernel';
import type { Transport } from '#libs/net';
import { Consensus, type ConsensusOptions } from './consensus.ts';
import type { JournalFile } from './journal-file.ts';

const GENESIS_US = 1_900_000_000_000_000;
const CHAIN = 'cc'.repeat(32);
const ROOT = '11'.repeat(32);
const seeds = Array.from({ length: 4 }, (_, i) => sha256(utf8(`journal ${i}`)));
const signers = seeds.map((seed) => createSigner(seed));
const payloadRoot = (payload: Bytes) => hashOf('seele/eda-payload/1', payload);
const none = () => undefined;

function blockOf(author: number): SealedBlock {
  const payload = utf8(`transactions of ${author}`);
  const era = Math.floor(GENESIS_US / DEFAULT_PARAMETERS.eraUs);
  const place = { chain: CHAIN, era, author, seq: 1, prevOwn: ZERO_HASH, count: 1 };
  const message = { ...place, txRoot: payloadRoot(payload) };
  const bytes = signedBytes('block', message);
  const signature = signers[author]?.sign(signingDomain('block'), bytes) as Bytes;
  return { from: author, message, signature, payload };
}

/** A validator of four that writes down in which order it journals and speaks. */
function createBench() {
  const [signer] = signers;
  const [seed] = seeds;
  if (!signer || !seed) throw new Error('no signer');
  const story: string[] = [];
  let nowUs = GENESIS_US;
  const append = (records: readonly JournalRecord[]) => {
    story.push(`sync ${records.map(({ kind }) => kind).join(' ')}`);
    return Promise.resolve();
  };
  const broadcast = (_protocol: number, bytes: Bytes) => {
    const message: EdaMessage = decodeMessage(bytes);
    const acknowledged = message.kind === 'tick' ? message.message.entries.length : 0;
    story.push(`${message.kind} ${acknowledged}`);
    return 3;
  };
  const consensus = new Consensus({
    config: {
      chain: CHAIN,
      publicKey: signer.publicKey,
      auth: createAuthenticator({ signer, seed, payloadRoot }),
      parameters: DEFAULT_PARAMETERS,
      genesisTimeUs: GENESIS_US,
      genesisSet: createValidatorSet(
        signers.map(({ publicKey }) => ({ publicKey, weight: 1 })),
        'classic',
      ),
      genesisRoots: { stateRoot: ROOT, receiptsRoot: ROOT, outboxRoot: ROOT },
    },
    journal: { sizeBytes: 0, append } as unknown as JournalFile,
    journalBytes: 1_000_000,
    records: [],
    transport: { broadcast, send: () => 'queued' } as unknown as Transport,
    nowUs: () => nowUs,
    nextPayload: none,
    ...{ onDecided: none, onMade: none, onAvailable: none, onReady: none, onStrength: none },
    ...{ onEvidence: none, onHandled: none, onRecovered: none, onExpired: none },
    isArriving: () => false,
    unstored: () => [],
  } satisfies ConsensusOptions);
  return {
    story,
    consensus,
    /** Time passes, and the loop turns. */
    async turn(byUs: number): Promise<void> {
      nowUs += byUs;
      consensus.stir();
      for (let i = 0; i < 4; i++) await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

test('blocks that come between two ticks share one sync, before the tick that acknowledges them', async () => {
  const { story, consensus, turn } = createBench();
  const running = consensus.run();
  await turn(0);
  story.length = 0;
  for (const author of [1, 2, 3]) {
    consensus.hear(signers[author]?.publicKey ?? '', { kind: 'block', ...blockOf(author) });
    await turn(1_000);
  }
  expect(story).toEqual([]);
  await turn(DEFAULT_PARAMETERS.deltaUs);
  expect(story).toEqual(['sync block block block', 'tick 3']);
  consensus.stop();
  await running;
});
