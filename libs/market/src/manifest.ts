/**
 * Job manifest: what to run, on what, within which limits. Stored as a dag-cbor block; its CID is
 * what the consumer signs, so nobody can swap code, data or limits afterwards.
 */
import { CID } from 'multiformats/cid';
import { create as createDigest } from 'multiformats/hashes/digest';
import { sha256 } from '#libs/crypto';
import {
  type CodecValue,
  cid,
  list,
  oneOf,
  optional,
  record,
  text,
  uint,
  decodeWith,
  encodeWith,
  type Bytes,
} from '#libs/kernel';

export const MANIFEST_MAX_BYTES = 256 * 1024;
export const MANIFEST_INPUTS_MAX = 64;

export const jobLimits = record({
  wallMs: uint(24 * 3600 * 1000),
  cpuMs: uint(24 * 3600 * 1000),
  /** Resident memory of the slot above its idle size. */
  memoryBytes: uint(64 * 2 ** 30),
  outputBytes: uint(2 ** 40),
  logLines: uint(100_000),
  logBytes: uint(64 * 2 ** 20),
  hostCalls: uint(10_000_000),
});
export type JobLimits = CodecValue<typeof jobLimits>;

export const DEFAULT_JOB_LIMITS: JobLimits = {
  wallMs: 60_000,
  cpuMs: 60_000,
  memoryBytes: 256 * 2 ** 20,
  outputBytes: 64 * 2 ** 20,
  logLines: 2_000,
  logBytes: 2 ** 20,
  hostCalls: 1_000_000,
};

/** Isolation levels a provider can reach, weakest first (docs/sandbox.md). */
export const ISOLATION_LEVELS = ['S0', 'S1', 'S2', 'S3', 'S4'] as const;
export const isolationLevel = oneOf(...ISOLATION_LEVELS);
export type IsolationLevel = CodecValue<typeof isolationLevel>;

export const TIERS = ['A', 'B', 'C'] as const;
export const tier = oneOf(...TIERS);
export type Tier = CodecValue<typeof tier>;

export const manifest = record({
  version: uint(1),
  name: text(200),
  kind: oneOf('js'),
  code: cid,
  inputs: list(record({ name: text(100), cid, sizeBytes: uint() }), MANIFEST_INPUTS_MAX),
  /** JSON text handed to the guest as `params`. */
  params: text(64 * 1024),
  limits: jobLimits,
  minIsolation: isolationLevel,
  tier,
  resources: record({ cores: uint(1024), memoryBytes: uint(), diskBytes: optional(uint()) }),
});
export type Manifest = CodecValue<typeof manifest>;

const DAG_CBOR = 0x71;
const SHA2_256 = 0x12;

/** CID of a manifest stored as a dag-cbor block: what the consumer signs. */
export function manifestCid(value: Manifest): string {
  return CID.createV1(DAG_CBOR, createDigest(SHA2_256, sha256(encodeManifest(value)))).toString();
}

export function encodeManifest(value: Manifest): Bytes {
  return encodeWith(manifest, value);
}

/** @throws KERNEL_CBOR_INVALID, KERNEL_CBOR_LIMIT, KERNEL_SHAPE */
export function decodeManifest(bytes: Bytes): Manifest {
  return decodeWith(manifest, bytes, { maxBytes: MANIFEST_MAX_BYTES });
}
