/**
 * What instructions cost. The table is part of the VM version: two engines agree on fuel only when
 * they agree on it.
 */
import type { FuelClass } from './opcodes.ts';

export interface FuelSchedule {
  /** Fuel of one instruction, by class. */
  readonly instruction: Readonly<Record<FuelClass, number>>;
  /** Fuel per byte that a bulk memory instruction touches. */
  readonly perByte: number;
  /** Fuel per element that a bulk table instruction touches. */
  readonly perElement: number;
  /** Fuel per 64 KiB page that memory.grow asks for. */
  readonly perPage: number;
}

export const FUEL_SCHEDULE: FuelSchedule = {
  instruction: {
    structure: 0,
    plain: 1,
    memory: 2,
    float: 3,
    division: 4,
    call: 8,
    memoryGrow: 1_000,
    bulkBytes: 8,
    bulkElements: 8,
    tableGrow: 1_000,
  },
  perByte: 1,
  perElement: 8,
  perPage: 8_192,
};
