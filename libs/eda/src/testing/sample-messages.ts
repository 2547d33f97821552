/** Messages for tests: well-formed, signed by nobody. */
import type { EdaMessage } from '../messages.ts';

const hash = 'ab'.repeat(32);
export const sampleName = { era: 3, author: 1, seq: 2, hash };
const signature = new Uint8Array(64).fill(7);
const vote = { chain: hash, era: 3, slot: 9, view: 2, hash };
export const SAMPLE_TIME_US = 1_900_000_000_000_000;
const certificate = { view: 1, hash, votes: [{ from: 0, signature }] };
const blsSignature = new Uint8Array(96).fill(9);
const aggregate = { signers: Uint8Array.of(255, 1), signature: blsSignature };
const ackOf = { chain: hash, era: 3, author: 1, seq: 2, hash };
const body = {
  chain: hash,
  era: 3,
  slot: 9,
  prevHash: hash,
  timeUs: SAMPLE_TIME_US,
  stateRoot: hash,
  receiptsRoot: hash,
  entries: [{ ...sampleName, pos: SAMPLE_TIME_US - 5, raw: SAMPLE_TIME_US - 2 ** 33 }],
  outboxRoot: hash,
  setHash: hash,
  nextSetHash: hash,
  parentHeader: null,
  creator: 0,
  vrf: new Uint8Array(80),
};
const newview = {
  from: 1,
  message: {
    chain: hash,
    era: 3,
    slot: 9,
    prevHash: hash,
    view: 2,
    timeUs: SAMPLE_TIME_US,
    highQc: certificate,
    reports: [{ ...sampleName, x: SAMPLE_TIME_US + 77 }],
  },
  signature,
};
/** One of every kind, and of every form that a kind has. */
export const sampleMessages: readonly EdaMessage[] = [
  {
    kind: 'block',
    from: 1,
    signature,
    payload: Uint8Array.of(1, 2),
    message: { chain: hash, era: 3, author: 1, seq: 2, prevOwn: hash, txRoot: hash, count: 1 },
  },
  {
    kind: 'tick',
    from: 1,
    signature,
    message: {
      chain: hash,
      era: 3,
      k: 4,
      axis: SAMPLE_TIME_US,
      entries: [{ ...sampleName, x0: SAMPLE_TIME_US - 9, x: SAMPLE_TIME_US + 9 }],
    },
  },
  { kind: 'prepare', from: 1, message: vote, signature },
  { kind: 'commit', from: 1, message: vote, signature },
  { kind: 'newview', ...newview },
  {
    kind: 'proposal',
    from: 0,
    signature,
    message: { chain: hash, era: 3, slot: 9, view: 2, body, justification: [newview] },
  },
  { kind: 'attest', from: 1, message: { chain: hash, era: 3, slot: 9, hash }, signature },
  {
    kind: 'tick',
    from: 1,
    signature,
    message: {
      chain: hash,
      era: 3,
      k: 4,
      axis: SAMPLE_TIME_US,
      entries: [],
      proof: new Uint8Array(80).fill(3),
    },
  },
  { kind: 'ack', from: 70, message: ackOf, signature: blsSignature },
  { kind: 'available', ack: ackOf, aggregate },
  {
    kind: 'certified',
    what: 'commit',
    chain: hash,
    era: 3,
    slot: 9,
    certificate: { view: 1, hash, votes: [], aggregate },
  },
  { kind: 'attested', attest: { chain: hash, era: 3, slot: 9, hash }, aggregate },
  { kind: 'final', body, certificate: { view: 1, hash, votes: [], aggregate } },
  { kind: 'final', body, certificate },
  { kind: 'body', body },
  { kind: 'recall', chain: hash },
  { kind: 'recalled', chain: hash, slot: 12 },
  { kind: 'fetch', blocks: [hash], bodies: [], finalsFrom: 3 },
];
