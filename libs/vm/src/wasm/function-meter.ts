/**
 * Rewrites one function body so that it pays for what it executes. Straight-line runs of
 * instructions are charged as a whole when entered; bulk instructions also by their length operand;
 * functions that call others reserve their frame on a counted stack.
 */
import type { Bytes } from '#libs/kernel';
import { vmError } from '../errors.ts';
import { BinaryReader, BinaryWriter } from './binary.ts';
import type { FuelSchedule } from './fuel-schedule.ts';
import { type FunctionBody, type FunctionType, type ParsedModule, valueType } from './module.ts';
import {
  extendedOpcode,
  type Opcode,
  PREFIX_EXTENDED,
  REFUSED_OPCODES,
  singleOpcode,
} from './opcodes.ts';
import { OperandHeight } from './operand-height.ts';

/** `refuse` floats, make their NaNs canonical, or `keep` them for a blob known to canonicalise. */
export type FloatRule = 'refuse' | 'canonicalise' | 'keep';

/** Indices of what the injector adds to the module. */
/** Instructions whose effect lies in no memory and no number global. */
const LASTING = new Set([
  ...['table.set', 'table.init', 'table.copy', 'table.grow', 'table.fill'],
  ...['elem.drop', 'data.drop'],
]);

export interface Instruments {
  /** Called for every instruction that changes what restoring memory and globals does not undo. */
  noteLasting(): void;
  /** Keeps the lowest value of another global in `global`, where asked for. */
  readonly low?: { readonly watched: number; readonly global: number } | undefined;
  readonly fuelGlobal: number;
  readonly stackGlobal: number;
  /** `(i32 amount, i32 weight) → i32 amount`: charges amount × weight. */
  readonly chargeFunction: number;
  /** Table whose first element is called when fuel ran out; empty, the call traps. */
  readonly hookTable: number;
  /** Type index of `() → ()`. */
  readonly hookType: number;
  /** Type index of `() → results`, for wrapping a body in one block. */
  blockTypeOf(results: Bytes): number;
}

export interface MeterOptions {
  readonly floats: FloatRule;
  readonly schedule: FuelSchedule;
}

/** A frame's share of the counted stack: what the engine's baseline compiler may use at most. */
const FRAME_BASE_BYTES = 128;
const BYTES_PER_SLOT = 8;
/** Operands that injected code itself pushes. */
const INJECTED_OPERANDS = 4;

const OP = {
  unreachable: 0x00,
  block: 0x02,
  loop: 0x03,
  if: 0x04,
  else: 0x05,
  end: 0x0b,
  br: 0x0c,
  brIf: 0x0d,
  brTable: 0x0e,
  return: 0x0f,
  call: 0x10,
  callIndirect: 0x11,
} as const;

/** Instructions after which control may arrive from, or go to, elsewhere. */
const SEGMENT_ENDS = new Set<number>([
  OP.unreachable,
  OP.loop,
  OP.if,
  OP.else,
  OP.end,
  OP.br,
  OP.brIf,
  OP.brTable,
  OP.return,
]);

const CANONICAL_NAN = {
  32: [0x43, 0x00, 0x00, 0xc0, 0x7f],
  64: [0x44, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xf8, 0x7f],
} as const;
const FLOAT_EQUAL = { 32: 0x5b, 64: 0x61 } as const;
const FLOAT_TYPE = { 32: 0x7d, 64: 0x7c } as const;

const GLOBAL_SET = 0x24;

class FunctionMeter {
  readonly #module: ParsedModule;
  readonly #type: FunctionType;
  readonly #body: FunctionBody;
  readonly #instruments: Instruments;
  readonly #options: MeterOptions;
  readonly #reader: BinaryReader;
  readonly #out = new BinaryWriter();
  readonly #height: OperandHeight;
  readonly #wrapped: boolean;
  readonly #ownSlots: number;
  readonly #scratch: { 32?: number; 64?: number } = {};
  #pending = new BinaryWriter();
  #cost = 0;

  constructor(
    module: ParsedModule,
    type: FunctionType,
    body: FunctionBody,
    instruments: Instruments,
    options: MeterOptions,
  ) {
    this.#module = module;
    this.#type = type;
    this.#body = body;
    this.#instruments = instruments;
    this.#options = options;
    this.#reader = new BinaryReader(body.code);
    this.#height = new OperandHeight(module, type.results.length);
    this.#ownSlots = type.params.length + body.locals.reduce((sum, group) => sum + group.count, 0);
    this.#wrapped = callsOthers(body.code);
  }

  /** The rewritten body, size prefix included. */
  rewrite(): Bytes {
    while (!this.#reader.atEnd) this.#instruction();
    if (this.#height.depth !== 0) this.#reader.fail('function body without its end');
    this.#flush();
    const body = new BinaryWriter();
    this.#writeLocals(body);
    this.#writeFrame(body);
    const bytes = body.finish();
    return new BinaryWriter().u32(bytes.length).bytes(bytes).finish();
  }

  #instruction(): void {
    if (this.#height.depth === 0) this.#reader.fail('instruction after the end of a function');
    const start = this.#reader.offset;
    const code = this.#reader.byte();
    const op = this.#lookUp(code, start);
    if (op.usesFloat && this.#options.floats === 'refuse')
      throw vmError('VM_MODULE_UNSUPPORTED', `the module uses floats (${op.name})`, {
        detail: { feature: 'floats' },
      });
    if (LASTING.has(op.name)) this.#instruments.noteLasting();
    this.#cost += this.#options.schedule.instruction[op.fuel];
    this.#chargeOperand(op);
    this.#immediate(op, code);
    if (code === OP.return && this.#wrapped) this.#pending.byte(OP.br).u32(this.#height.depth - 1); // leave through the epilogue
    else this.#pending.bytes(this.#body.code.subarray(start, this.#reader.offset));
    if (code === GLOBAL_SET) this.#trackLow(start);
    if (op.nanResult && this.#options.floats === 'canonicalise') this.#canonicalise(op.nanResult);
    if (SEGMENT_ENDS.has(code)) this.#flush();
  }

  /** After a change of the watched global: keeps the lowest value it had. */
  #trackLow(start: number): void {
    const { low } = this.#instruments;
    if (!low || new BinaryReader(this.#body.code, start + 1).u32() !== low.watched) return;
    this.#pending.byte(0x23).u32(low.watched).byte(0x23).u32(low.global).byte(0x49, OP.if, 0x40);
    this.#pending.byte(0x23).u32(low.watched).byte(GLOBAL_SET).u32(low.global).byte(OP.end);
  }

  #lookUp(code: number, start: number): Opcode {
    const op = code === PREFIX_EXTENDED ? extendedOpcode(this.#reader.u32()) : singleOpcode(code);
    if (op) return op;
    const feature = REFUSED_OPCODES.get(code) ?? `instruction 0x${code.toString(16)}`;
    throw vmError('VM_MODULE_UNSUPPORTED', `the module uses ${feature}`, {
      detail: { feature, offset: start },
    });
  }

  /** Charges by the length operand on top of the stack, leaving it there. */
  #chargeOperand(op: Opcode): void {
    const { perByte, perElement, perPage } = this.#options.schedule;
    const weight =
      op.fuel === 'bulkBytes'
        ? perByte
        : op.fuel === 'bulkElements' || op.fuel === 'tableGrow'
          ? perElement
          : op.fuel === 'memoryGrow'
            ? perPage
            : 0;
    if (weight === 0) return;
    this.#pending.byte(0x41).signed(BigInt(weight));
    this.#pending.byte(OP.call).u32(this.#instruments.chargeFunction);
  }

  #immediate(op: Opcode, code: number): void {
    const reader = this.#reader;
    switch (op.immediate) {
      case 'none':
        break;
      case 'block':
        this.#height.pop(op.pops);
        this.#height.open(readBlockType(reader, this.#module));
        return;
      case 'label':
      case 'index':
        if (code === OP.call) {
          this.#height.call(this.#module.functionTypes[reader.u32()]);
          return;
        }
        reader.u32();
        break;
      case 'labels': {
        const count = reader.u32();
        for (let i = 0; i <= count; i++) reader.u32();
        break;
      }
      case 'callIndirect': {
        const type = reader.u32();
        reader.u32();
        this.#height.pop(1);
        this.#height.call(type);
        return;
      }
      case 'memory':
        if (reader.u32() >= 32) throw multipleMemories();
        reader.u32();
        break;
      case 'byte':
        if (reader.byte() !== 0) throw multipleMemories();
        break;
      case 'twoIndices':
        reader.u32();
        reader.u32();
        break;
      case 's32':
        reader.skipSigned(32);
        break;
      case 's64':
        reader.skipSigned(64);
        break;
      case 'f32':
        reader.skip(4);
        break;
      case 'f64':
        reader.skip(8);
        break;
      case 'types': {
        const count = reader.u32();
        for (let i = 0; i < count; i++) valueType(reader);
        break;
      }
      case 'refType':
        valueType(reader);
        break;
    }
    this.#control(op, code);
  }

  #control(op: Opcode, code: number): void {
    const height = this.#height;
    if (code === OP.else) height.alternative();
    else if (code === OP.end) height.close();
    else {
      height.pop(op.pops);
      height.push(op.pushes);
      const leaves: readonly number[] = [OP.unreachable, OP.br, OP.brTable, OP.return];
      if (leaves.includes(code)) height.unreachable();
    }
  }

  /** Replaces whatever NaN the instruction produced by the one canonical NaN. */
  #canonicalise(bits: 32 | 64): void {
    this.#scratch[bits] ??= this.#ownSlots + Object.keys(this.#scratch).length;
    const local = this.#scratch[bits];
    this.#pending.byte(0x22).u32(local);
    this.#pending.byte(...CANONICAL_NAN[bits]);
    this.#pending.byte(0x20).u32(local).byte(0x20).u32(local);
    this.#pending.byte(FLOAT_EQUAL[bits], 0x1b);
  }

  /** Ends a straight-line run: its price goes before it. */
  #flush(): void {
    if (this.#cost > 0) writeCharge(this.#out, this.#instruments, this.#cost);
    this.#out.bytes(this.#pending.finish());
    this.#pending = new BinaryWriter();
    this.#cost = 0;
  }

  #writeLocals(body: BinaryWriter): void {
    const extra = Object.entries(this.#scratch).sort(([, a], [, b]) => a - b);
    body.u32(this.#body.locals.length + extra.length);
    for (const { count, type } of this.#body.locals) body.u32(count).byte(type);
    for (const [bits] of extra) body.u32(1).byte(FLOAT_TYPE[bits as unknown as 32 | 64]);
  }

  #writeFrame(body: BinaryWriter): void {
    if (!this.#wrapped) {
      body.bytes(this.#out.finish());
      return;
    }
    const slots = this.#ownSlots + 2 + this.#height.max + INJECTED_OPERANDS;
    const frameBytes = FRAME_BASE_BYTES + BYTES_PER_SLOT * slots;
    const { stackGlobal } = this.#instruments;
    body.byte(0x23).u32(stackGlobal).byte(0x41).signed(BigInt(frameBytes)).byte(0x6b);
    body.byte(0x24).u32(stackGlobal);
    body.byte(0x23).u32(stackGlobal).byte(0x41, 0x00, 0x48, OP.if, 0x40, OP.unreachable, OP.end);
    body.byte(OP.block);
    const { results } = this.#type;
    if (results.length === 0) body.byte(0x40);
    else if (results.length === 1) body.byte(results[0] as number);
    else body.signed(BigInt(this.#instruments.blockTypeOf(results)));
    body.bytes(this.#out.finish()); // its own `end` closes the block
    body.byte(0x23).u32(stackGlobal).byte(0x41).signed(BigInt(frameBytes)).byte(0x6a);
    body.byte(0x24).u32(stackGlobal).byte(OP.end);
  }
}

function multipleMemories(): Error {
  return vmError('VM_MODULE_UNSUPPORTED', 'the module uses several memories', {
    detail: { feature: 'several memories' },
  });
}

function readBlockType(
  reader: BinaryReader,
  module: ParsedModule,
): { params: number; results: number } {
  const code = reader.s33();
  if (code === -64) return { params: 0, results: 0 };
  if (code < 0) {
    valueType(new BinaryReader(Uint8Array.of(code + 128)));
    return { params: 0, results: 1 };
  }
  const type = module.types[code];
  if (!type) return reader.fail('unknown block type');
  return { params: type.params.length, results: type.results.length };
}

/** Conservative: a call opcode byte anywhere, even inside an immediate, counts. */
function callsOthers(code: Bytes): boolean {
  return code.includes(OP.call) || code.includes(OP.callIndirect);
}

/** `fuel -= cost`, then the check. The host tells a trap's cause from the sign of fuel. */
function writeCharge(out: BinaryWriter, instruments: Instruments, cost: number): void {
  const { fuelGlobal } = instruments;
  out.byte(0x23).u32(fuelGlobal).byte(0x42).signed(BigInt(cost)).byte(0x7d);
  out.byte(0x24).u32(fuelGlobal);
  writeFuelCheck(out, instruments);
}

/** `if (fuel < 0) hook()`. The hook gives more fuel and returns, or ends the guest. */
export function writeFuelCheck(out: BinaryWriter, instruments: Instruments): void {
  out.byte(0x23).u32(instruments.fuelGlobal).byte(0x42, 0x00, 0x53, OP.if, 0x40, 0x41, 0x00);
  out.byte(OP.callIndirect).u32(instruments.hookType).u32(instruments.hookTable).byte(OP.end);
}

/** Rewrites one body. @throws VM_MODULE_UNSUPPORTED, VM_MODULE_MALFORMED */
export function meterFunction(
  module: ParsedModule,
  type: FunctionType,
  body: FunctionBody,
  instruments: Instruments,
  options: MeterOptions,
): Bytes {
  return new FunctionMeter(module, type, body, instruments, options).rewrite();
}
