/** Failures of blob storage. Corrupt and malformed are told apart: the first is the store's fault. */
import { defineErrors } from '#libs/kernel';

export const storageError = defineErrors({
  STORAGE_CID_INVALID: {
    status: 400,
    title: 'Malformed content identifier',
    fix: 'Copy the CID again, whole (it starts with bafy, bafk or Qm).',
  },
  STORAGE_NOT_FOUND: {
    status: 404,
    title: 'Content not found',
    fix: 'Put the content again, or connect the storage process to a peer that holds it.',
  },
  STORAGE_CORRUPT: {
    status: 502,
    title: 'Stored bytes do not match their identifier',
    fix: 'Put the content again; look for a failing disk or an untrusted storage endpoint.',
  },
  STORAGE_MALFORMED: {
    status: 400,
    title: 'Content is not a well-formed file',
    fix: 'Give the CID of a UnixFS file or of a raw block.',
  },
  STORAGE_TOO_LARGE: {
    status: 413,
    title: 'Content over its limit',
    fix: 'Use smaller content, or raise the limit named in the message.',
  },
  STORAGE_UNSUPPORTED: {
    status: 400,
    title: 'Unsupported codec or hash',
    fix: 'Use raw, dag-pb or dag-cbor blocks hashed with SHA-256 or SHA-512.',
  },
  STORAGE_KEY_INVALID: {
    status: 400,
    title: 'Unusable encryption key',
    fix: 'Copy the recipient’s key again, whole (`seele storage key` prints it: x25519:…).',
  },
  STORAGE_SEALED: {
    status: 403,
    title: 'Encrypted to somebody else',
    fix: 'Open it with the account it was encrypted to, or ask its owner to encrypt it to yours.',
  },
  STORAGE_SEAL_BROKEN: {
    status: 502,
    title: 'Encrypted content was tampered with',
    fix: 'Get the content again from its owner; do not use what was read so far.',
  },
  STORAGE_FULL: {
    status: 507,
    title: 'Storage is full',
    fix: 'Free space on the disk, unpin what is not needed and run `repo gc`, then try again.',
  },
  STORAGE_UNAUTHORIZED: {
    status: 401,
    title: 'Storage refused the token',
    fix: 'Set STORAGE_RPC_TOKEN to the token that the storage process wrote when it started.',
  },
  STORAGE_BUSY: {
    status: 503,
    title: 'Storage is busy',
    fix: 'Try again in a moment.',
  },
  STORAGE_UNAVAILABLE: {
    status: 503,
    title: 'Storage does not answer',
    fix: 'Check that the storage process runs and that STORAGE_RPC_URL names it.',
  },
  STORAGE_FAILED: {
    status: 502,
    title: 'Storage failed',
    fix: 'Read the message; the log of the storage process says more.',
  },
});
