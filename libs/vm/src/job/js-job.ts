/** A verifiable job in JavaScript. Between two promise jobs the guest rests, and can be resumed. */
import { type Bytes, utf8, utf8Decode } from '#libs/kernel';
import { vmError } from '../errors.ts';
import type { JsEngine } from '../js/js-engine.ts';
import {
  JS_SOURCE_MAX_BYTES,
  type JsHost,
  JsMachine,
  type JsOperation,
  type JsOutcome,
} from '../js/js-machine.ts';
import { GuestAbort } from '../wasm/metered-instance.ts';
import { JobRun, ReachedCheckpoint } from './job-run.ts';
import { JOB_OPERATION, JOB_PRELUDE } from './job-prelude.ts';
import { JOB_HOST_FUEL, JobStop, type JobSurroundings } from './recorder.ts';
import type { JobTerms, JobVerdict, RunOptions } from './verifiable-job.ts';

const RANDOM_BYTES_MAX = 65_536;
const lenient = new TextDecoder('utf-8', { ignoreBOM: true });

export class JsJob {
  readonly #machine: JsMachine;
  readonly #surroundings: JobSurroundings;
  readonly #options: RunOptions;
  readonly #run: JobRun;
  #done = false;
  #isLoaded = false;

  constructor(
    engine: JsEngine,
    code: Bytes,
    surroundings: JobSurroundings,
    terms: JobTerms,
    options: RunOptions,
  ) {
    this.#surroundings = surroundings;
    this.#options = options;
    // Loading has its own allowance, so that fuel in checkpoints does not depend on it.
    this.#machine = JsMachine.load(
      engine,
      JOB_PRELUDE,
      sourceText(code),
      this.#host(),
      terms.fuelLimit,
    );
    this.#isLoaded = true;
    const machine = this.#machine;
    const guest = {
      get fuel() {
        return machine.fuel;
      },
      set fuel(value: bigint) {
        machine.fuel = value;
      },
      state: () => ({ memory: machine.memory, globals: [BigInt(machine.stackPointer)] }),
    };
    this.#run = new JobRun(guest, surroundings, terms, options, (index) => this.#resumable(index));
    machine.fuelHook = () => this.#run.clock.boundary();
  }

  run(): JobVerdict {
    const { from } = this.#options;
    const fuel = this.#run.clock.first();
    const onTurn = () => this.#run.clock.turn();
    let outcome: JsOutcome;
    try {
      outcome = from ? this.#machine.resume(from, fuel, onTurn) : this.#machine.call(fuel, onTurn);
    } catch (error) {
      if (error instanceof ReachedCheckpoint) return this.#run.verdict('ok');
      if (error instanceof JobStop) return this.#run.verdict(error.exit, error.message);
      throw error;
    }
    if (outcome.kind === 'returned')
      return this.#done
        ? this.#run.verdict('ok')
        : this.#run.verdict('guest-error', 'the job waits for something that never happens');
    if (outcome.kind === 'threw') return this.#run.verdict('guest-error', outcome.message);
    return this.#run.stopped(outcome);
  }

  #resumable(index: number): void {
    if (!this.#options.onResumable) return; // taking an image copies the whole memory
    const { clock, recorder } = this.#run;
    const { io } = recorder;
    this.#options.onResumable({ index, ...this.#machine.image(), clock: clock.position, io });
  }

  #host(): JsHost {
    const OP = JOB_OPERATION;
    const table = new Map<number, JsOperation>();
    const on = (number: number, takes: string, run: (...args: never[]) => unknown) =>
      table.set(number, {
        takes,
        run: (args) => {
          // A module that logs or draws at its top level: there is no run yet that could record it.
          if (!this.#isLoaded)
            throw new GuestAbort('call log, random and inputs inside the exported function only');
          this.#machine.charge(JOB_HOST_FUEL.call);
          this.#run.recorder.called();
          return run(...(args as never[])) as ReturnType<JsOperation['run']>;
        },
      });
    on(OP.begin, '', () => [
      this.#surroundings.params,
      this.#surroundings.inputs.map(({ name, sizeBytes }) => [name, sizeBytes]),
    ]);
    on(OP.read, 'nnn', (input: number, offset: number, length: number) =>
      this.#run.recorder.read(input, offset, length),
    );
    const write = (bytes: Bytes) => {
      this.#machine.charge(bytes.length * JOB_HOST_FUEL.writtenByte);
      this.#run.recorder.write(bytes);
    };
    on(OP.writeText, 's', (text: string) => write(utf8(text)));
    on(OP.writeBytes, 'b', write);
    on(OP.log, 's', (line: string) => this.#run.recorder.log(line));
    on(OP.progress, 'ns', (share: number, note: string) =>
      this.#run.recorder.progress(share, note),
    );
    on(OP.random, 'n', (asked: number) => {
      const length = Math.min(Math.max(0, Math.floor(asked) || 0), RANDOM_BYTES_MAX);
      this.#machine.charge(length * JOB_HOST_FUEL.randomByte);
      return this.#run.recorder.random(length);
    });
    on(OP.done, '', () => {
      this.#done = true;
    });
    on(OP.decode, 'b', (bytes: Bytes) => lenient.decode(bytes));
    on(OP.encode, 's', (text: string) => utf8(text));
    return table;
  }
}

/** @throws VM_SOURCE_LIMIT, VM_PROGRAM_INVALID */
export function checkJsSource(code: Bytes): void {
  if (code.length > JS_SOURCE_MAX_BYTES)
    throw vmError(
      'VM_SOURCE_LIMIT',
      `source of ${code.length} bytes where ${JS_SOURCE_MAX_BYTES} are allowed`,
    );
  sourceText(code);
}

function sourceText(code: Bytes): string {
  try {
    return utf8Decode(code);
  } catch {
    throw vmError('VM_PROGRAM_INVALID', 'the program is not UTF-8 text');
  }
}
