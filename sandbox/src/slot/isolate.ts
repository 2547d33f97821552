/**
 * What one task gets and nobody reuses: a fresh context with the guest's side of the bridge loaded, in an
 * isolate of its own or, beside what is left of earlier tasks of the same order, in theirs.
 */
import type ivm from 'isolated-vm';
import { guestClock } from './guest-clock.ts';
import { guestText } from './guest-text.ts';
import { guestBridge } from './guest.ts';
import { type IsolatedVm, bare } from './isolated-vm.ts';

/** Answers a host call with 0 or a refusal code; must not throw. */
export type HostCall = (op: number, a: unknown, b: unknown, c: unknown) => number;

export interface GuestIsolate {
  readonly memoryMb: number;
  /** Who answers the guest's host calls from now on. */
  listen(answer: HostCall): void;
  configure(json: string): void;
  /** Hands a chunk, an end or a timer to the guest; `bytes` are moved, not copied. */
  deliver(id: number, code: number, payload?: string | ArrayBuffer): Promise<void>;
  poke(): Promise<void>;
  /** Compiles and links the job; throws what is wrong with it. */
  link(source: string): void;
  /** Runs the job's module and then its default export. Resolves when control first comes back. */
  evaluate(): Promise<void>;
  /** True once isolated-vm ended the isolate by itself: its memory limit. */
  isDead(): boolean;
  /**
   * Another fresh context in the same isolate, for the next task of the same order; this one is over.
   * Undefined when the isolate has had enough of them, or too much is left in it.
   */
  successor(): GuestIsolate | undefined;
  dispose(): void;
}

/**
 * Contexts that one isolate has in all, one after the other. Making an isolate costs four times what a
 * context does; with so many, next to nothing of that is left in a task.
 */
const CONTEXTS_MAX = 24;
/** What earlier tasks may leave in an isolate, as a share of its memory limit. */
const REMAINS_MAX = 1 / 4;
const MIB = 2 ** 20;

const BRIDGE_SOURCE = `(send) => (${String(guestBridge)})(send, (${String(guestText)})(), ${String(guestClock)})`;
const START_SOURCE =
  "const start = globalThis['seele:start']; delete globalThis['seele:start']; export default start;";
const ENTRY_SOURCE = "import start from 'seele:start'; import job from 'seele:job'; start(job);";

/** V8's own bytecode of the bridge, made by the second isolate of this process for those after it. */
let bridgeCache: ivm.ExternalCopy<ArrayBuffer> | undefined;
let bridgesCompiled = 0;

/** Loaded only in a slot that runs a second task: it costs more than it saves a slot with one. */
let setV8Flag: ((flag: string) => void) | undefined;

/**
 * Most slots run one task, whose bridge is compiled as it is used. From the second on all of it is
 * compiled at once (`--no-lazy`), so that V8's cache holds all of it; V8 takes a cache only under the
 * flags that it was made with.
 */
function compileBridge(isolate: ivm.Isolate): ivm.Script {
  const filename = 'seele:bridge';
  if (bridgesCompiled++ === 0) return isolate.compileScriptSync(BRIDGE_SOURCE, bare({ filename }));
  setV8Flag ??= process.getBuiltinModule('node:v8').setFlagsFromString;
  setV8Flag('--no-lazy');
  try {
    if (bridgeCache !== undefined)
      return isolate.compileScriptSync(BRIDGE_SOURCE, bare({ filename, cachedData: bridgeCache }));
    const options = bare({ filename, produceCachedData: true as const });
    const script = isolate.compileScriptSync(BRIDGE_SOURCE, options);
    const { cachedData } = script as { cachedData?: ivm.ExternalCopy<ArrayBuffer> };
    bridgeCache = cachedData;
    return script;
  } finally {
    setV8Flag('--lazy');
  }
}

export function createGuestIsolate(
  vm: IsolatedVm,
  memoryMb: number,
  onCatastrophe: (message: string) => void,
): GuestIsolate {
  const isolate = new vm.Isolate(
    bare({ memoryLimit: memoryMb, onCatastrophicError: onCatastrophe }),
  );
  return guestIn(vm, { isolate, memoryMb, script: compileBridge(isolate) }, 1);
}

interface Host {
  readonly isolate: ivm.Isolate;
  readonly memoryMb: number;
  readonly script: ivm.Script;
}

/** Little enough is left in it for the next task to have its memory. */
function isRoomy({ isolate, memoryMb }: Host): boolean {
  const { used_heap_size: heap, externally_allocated_size: beside } =
    isolate.getHeapStatisticsSync();
  return heap + beside < REMAINS_MAX * memoryMb * MIB;
}

function guestIn(vm: IsolatedVm, host: Host, nth: number): GuestIsolate {
  const { isolate, memoryMb, script } = host;
  // Synchronous: our own short code, and every hop to isolated-vm's thread costs more than it does.
  const context = isolate.createContextSync();
  let answer: HostCall = () => 1;
  const send = new vm.Callback((op: number, a: unknown, b: unknown, c: unknown) =>
    answer(op, a, b, c),
  );
  const asReference = bare({ reference: true as const });
  const make = script.runSync(context, asReference) as ivm.Reference<(s: unknown) => object>;
  const bridge = make.applySync(
    undefined,
    [send],
    bare({ result: asReference }),
  ) as unknown as ivm.Reference<Record<string, (...args: unknown[]) => void>>;
  const [configure, deliver, poke] = ['configure', 'deliver', 'poke'].map((name) =>
    bridge.getSync(name, asReference),
  );
  const apply = async (target: unknown, args: unknown[]): Promise<void> => {
    // The bridge functions return undefined; `copy` keeps anything else from becoming a Reference.
    await (target as ivm.Reference<(...a: unknown[]) => void>).apply(
      undefined,
      args as never[],
      bare({ result: bare({ copy: true as const }) }),
    );
  };
  const startModule = isolate.compileModuleSync(START_SOURCE, bare({ filename: 'seele:start' }));
  const entry = isolate.compileModuleSync(ENTRY_SOURCE, bare({ filename: 'seele:entry' }));
  return {
    memoryMb,
    listen: (next) => {
      answer = next;
    },
    configure: (json) =>
      (configure as unknown as ivm.Reference<(text: string) => void>).applySync(
        undefined,
        [json],
        bare({ result: bare({ copy: true as const }) }),
      ),
    deliver: (id, code, payload) =>
      apply(deliver, [
        id,
        code,
        payload instanceof ArrayBuffer
          ? new vm.ExternalCopy(payload, bare({ transferOut: true })).copyInto(
              bare({ transferIn: true, release: true }),
            )
          : payload,
      ]),
    poke: () => apply(poke, []),
    link: (source) => {
      const job = isolate.compileModuleSync(source, bare({ filename: 'job.js' }));
      entry.instantiateSync(context, (specifier, referrer) => {
        if (referrer === entry && specifier === 'seele:start') return startModule;
        if (referrer === entry && specifier === 'seele:job') return job;
        throw new Error(`a job has no imports, but this one imports ${JSON.stringify(specifier)}`);
      });
    },
    evaluate: async () => {
      await entry.evaluate(bare({ promise: true as const }));
    },
    isDead: () => isolate.isDisposed,
    successor: () => {
      // Whoever is still running in it speaks to nobody.
      answer = () => 1;
      if (isolate.isDisposed || nth >= CONTEXTS_MAX || !isRoomy(host)) return undefined;
      for (const handle of [configure, deliver, poke, bridge, make, context])
        (handle as { release(): void }).release();
      return guestIn(vm, host, nth + 1);
    },
    dispose: () => {
      if (!isolate.isDisposed) isolate.dispose();
    },
  };
}
