/** What binding sends, and what it calls its grants. */
import { hashOf } from '#libs/crypto';
import { encodeWith, hash32, record, uint } from '#libs/kernel';
import type { OrderRow } from './model/rows.ts';
import { bestCellOf, jobOf } from './placement/place.ts';
import { type Step, emit } from './state.ts';

const LEASE_DOMAIN = 'seele/lease/1';
const leaseName = record({ order: hash32, fence: uint() });

/** Lease ids follow from order and fence, so a restart cannot name the same grant twice. */
export const leaseId = (order: string, fence: number): string =>
  hashOf(LEASE_DOMAIN, encodeWith(leaseName, { order, fence }));

/** Sends the current binding message; a repetition has the same key. */
export function sendBinding(step: Step, row: OrderRow): void {
  emit(step, {
    kind: 'enqueueBinding',
    queue: bestCellOf(step, jobOf(row, step.now.timeUs)) ?? NO_CELL,
    key: `${row.id}-${row.binding}`,
    order: row.id,
    binding: row.binding,
  });
}

/** Where nobody fits any job goes to the same queue, and waits from there. */
const NO_CELL = 'public.eco';
