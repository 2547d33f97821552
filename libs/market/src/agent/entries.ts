/** Log entries that a provider writes while it holds a job's log, and their fields. */
import { exitClass, meteredRun, usage } from '#contracts';
import {
  type CodecValue,
  bool,
  cid,
  float,
  hash32,
  list,
  oneOf,
  optional,
  record,
  text,
  u64,
  uint,
} from '#libs/kernel';
import { isolationLevel } from '../manifest.ts';

export const CHECKPOINTS_PER_ENTRY = 512;

/** What a guest saved of its state, as it lies in storage. */
export const savePointRef = record({ cid, sizeBytes: uint() });
export type SavePointRef = CodecValue<typeof savePointRef>;

/** A checkpoint of libs/vm as it stands in a log. */
const checkpointItem = record({ fuel: u64, root: hash32, resumable: bool });

export const PROVIDER_ENTRIES = {
  /** The first guest statement is about to run. `attempt` counts from 1. */
  started: record({
    lease: hash32,
    fence: uint(),
    provider: hash32,
    attempt: uint(),
    code: cid,
    inputs: list(record({ name: text(100), cid }), 64),
    isolation: isolationLevel,
    node: text(40),
    /** The save point it goes on from, made under an earlier lease. */
    resumed: optional(cid),
  }),
  /** The guest saved where it stands; the newest one is what the work goes on from elsewhere. */
  savePoint: savePointRef,
  /** Consecutive lines of the guest's log, control characters escaped. */
  log: record({
    lines: list(
      record({ level: oneOf('debug', 'info', 'warn', 'error'), text: text(64 * 1024) }),
      1024,
    ),
  }),
  progress: record({ share: float, note: text(2_000) }),
  /** The slot went away by no fault that is known to be the guest's; the work begins again. */
  retried: record({ attempt: uint(), reason: text(500) }),
  /** How the work ended; the delivery says the same and is signed. */
  finished: record({
    exit: exitClass,
    usage,
    result: optional(cid),
    error: optional(text(8_192)),
    metered: optional(meteredRun),
  }),
  /** Checkpoints of a verifiable job as they are taken; `first` counts from 0 in each attempt. */
  checkpoints: record({ first: uint(4096), items: list(checkpointItem, CHECKPOINTS_PER_ENTRY) }),
} as const;

export type ProviderEntryKind = keyof typeof PROVIDER_ENTRIES;
