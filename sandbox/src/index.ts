/**
 * Sandbox: runs untrusted programs. One process for one order's work, a fresh context for each task
 * inside it, bytes and strings only across the bridge, limits enforced from outside by kill.
 *
 * Owns: the slot process, its bridge, its layers of defence, the probe that says what really holds.
 * Does not own: which work to take, where inputs come from, what it costs (apps/provider, market).
 *
 * @example
 * const pool = await createSlotPool({ slots: 2 });
 * const code = utf8('export default async ({ params }) => params.a + params.b');
 * const limits = DEFAULT_JOB_LIMITS;
 * const { exit, output } = await pool.run({ code, inputs: {}, params: '{"a":1,"b":2}', limits });
 */
export * from './errors.ts';
export type { SlotCommand, SlotLayer, SlotProbe } from './layers/layer.ts';
export { escapeControls } from './log-text.ts';
export {
  createSlotPool,
  defaultLayers,
  type SlotPool,
  type SlotPoolOptions,
  type SlotSession,
} from './pool.ts';
export { SAVE_POINT_MAX_BYTES } from './save-point.ts';
export * from './task.ts';
