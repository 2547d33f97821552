/** Why a store cannot serve. Every one of these ends the process: docs/decisions/0002. */
import { defineErrors } from '#libs/kernel';

export const storeError = defineErrors({
  STORE_OPEN: {
    status: 500,
    title: 'Data directory cannot be opened',
    fix: 'Check that the directory exists on a disk with free space and that this user may write to it.',
  },
  STORE_IN_USE: {
    status: 409,
    title: 'Data directory is in use',
    fix: 'Stop the other process that uses it, or choose another data directory.',
  },
  STORE_CORRUPT: {
    status: 500,
    title: 'Database file is damaged',
    fix: 'Restore the data directory from a backup, or delete it and synchronise again.',
  },
  STORE_FULL: {
    status: 507,
    title: 'Disk is full',
    fix: 'Free space on the disk of the data directory and start again: nothing acknowledged is lost.',
  },
  STORE_WRITE: {
    status: 500,
    title: 'Write to the data directory failed',
    fix: 'Check the disk, then start again: reopening decides whether the last write was stored.',
  },
  STORE_CLOSED: {
    status: 503,
    title: 'Store is closed',
    fix: 'The process is stopping or has met a storage error; start it again.',
  },
});
