/**
 * What runs in a slot for metered jobs: the engine of libs/vm behind the same frames as any other job.
 * It blocks wherever the guest waits, and computes on the main thread's large stack: a thread of its
 * own would not be under Node's permission model. What it says about limits it keeps itself; time and
 * memory are the parent's. Started by ../metered-slots.ts.
 */
import {
  type JobExit,
  type JobVerdict,
  JOB_VM_VERSIONS,
  type JsEngine,
  bootJobEngine,
  jobProgramOf,
  judgeJob,
  startJsEngine,
} from '#libs/vm';
import { DONE, FROM_SLOT, TO_SLOT } from './frames.ts';
import { probeFromInside } from './inside-probe.ts';
import { nextFrame, send } from './parent-line.ts';
import { PulledInput } from './pulled-input.ts';

/** Header of a task frame for a metered job. Big numbers are decimal text. */
export interface MeteredTaskHeader {
  readonly inputs: readonly { readonly name: string; readonly sizeBytes: number }[];
  readonly params: string;
  readonly seed: string;
  readonly epochMs: number;
  readonly fuelLimit: string;
  readonly checkpointFuel: string;
  readonly memoryBytes: number;
  readonly quotas: {
    readonly outputBytes: number;
    readonly logLines: number;
    readonly logBytes: number;
    readonly hostCalls: number;
  };
  /** `wasm` runs modules only; `verifiable` scripts as well. */
  readonly kind: 'wasm' | 'verifiable';
}

const OUTPUT_PART_BYTES = 512 * 1024;
const ERROR_TEXT_MAX = 4_000;
const LEVEL_INFO = 1;

const STATUS: Readonly<Record<JobExit, number>> = {
  ok: DONE.ok,
  'guest-error': DONE.guestError,
  'fuel-limit': DONE.fuelLimit,
  'output-limit': DONE.outputLimit,
  'log-limit': DONE.logLimit,
  'host-call-limit': DONE.hostCallLimit,
};

let engine: JsEngine | undefined;

function loadEngine(payload: Buffer): void {
  engine = startJsEngine({
    version: payload.toString('latin1', 0, 64),
    bytes: payload.subarray(64),
  });
  // The engine's own start is the same for every job, and is not the job's to pay.
  bootJobEngine(engine);
  send(FROM_SLOT.loaded);
}

function sendOutput(chunk: Uint8Array): void {
  for (let at = 0; at < chunk.length; at += OUTPUT_PART_BYTES)
    send(FROM_SLOT.output, chunk.subarray(at, at + OUTPUT_PART_BYTES));
}

function sendProgress(share: number, note: string): void {
  const head = Buffer.alloc(8);
  head.writeDoubleLE(share, 0);
  send(FROM_SLOT.progress, Buffer.concat([head, Buffer.from(note)]));
}

function sendVerdict({ exit, message = '', fuelUsed, io }: JobVerdict, version: string): void {
  const { outputChain, outputLength } = io;
  const run = { engine: version, fuel: fuelUsed.toString(), outputChain, outputLength };
  send(FROM_SLOT.metered, Buffer.from(JSON.stringify(run)));
  const text = Buffer.from(message.slice(0, ERROR_TEXT_MAX));
  send(FROM_SLOT.done, Buffer.concat([Buffer.of(STATUS[exit]), text]));
}

function runTask(payload: Buffer): void {
  const length = payload.readUInt32LE(0);
  const header = JSON.parse(payload.toString('utf8', 4, 4 + length)) as MeteredTaskHeader;
  const code = new Uint8Array(payload.subarray(4 + length));
  const program = header.kind === 'wasm' ? ({ kind: 'wasm', code } as const) : jobProgramOf(code);
  const { params, seed, epochMs, quotas, memoryBytes } = header;
  send(FROM_SLOT.started);
  const verdict = judgeJob(
    engine,
    program,
    {
      inputs: header.inputs.map(({ name, sizeBytes }, i) => new PulledInput(i, name, sizeBytes)),
      ...{ params, seed, epochMs, quotas },
      onOutput: sendOutput,
      onLog: (line) =>
        send(FROM_SLOT.log, Buffer.concat([Buffer.of(LEVEL_INFO), Buffer.from(line)])),
      onProgress: sendProgress,
    },
    {
      fuelLimit: BigInt(header.fuelLimit),
      checkpointFuel: BigInt(header.checkpointFuel),
      memoryBytes,
    },
    {
      onCheckpoint: ({ fuel, root, resumable }) => {
        const bytes = Buffer.alloc(9);
        bytes.writeBigUInt64LE(fuel, 0);
        bytes[8] = resumable ? 1 : 0;
        send(FROM_SLOT.checkpoint, Buffer.concat([bytes, Buffer.from(root, 'hex')]));
      },
    },
  );
  sendVerdict(verdict, JOB_VM_VERSIONS[program.kind]);
}

send(FROM_SLOT.ready);
for (;;) {
  const { type, payload } = nextFrame();
  if (type === TO_SLOT.engine) loadEngine(payload);
  else if (type === TO_SLOT.task) runTask(payload);
  else if (type === TO_SLOT.probe)
    send(FROM_SLOT.probed, Buffer.from(JSON.stringify(probeFromInside())));
}
