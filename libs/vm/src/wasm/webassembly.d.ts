/**
 * The part of the WebAssembly JavaScript interface that the engine uses. Declared here because the
 * DOM library, which has it, would also put `document` and friends in scope of pure code.
 * Spec: https://www.w3.org/TR/wasm-js-api-2/
 */
declare namespace WebAssembly {
  type ValueType = 'i32' | 'i64' | 'f32' | 'f64' | 'funcref' | 'externref';
  type ExternKind = 'function' | 'global' | 'memory' | 'table' | 'tag';

  class Module {
    constructor(bytes: Uint8Array);
    static imports(module: Module): { module: string; name: string; kind: ExternKind }[];
    static exports(module: Module): { name: string; kind: ExternKind }[];
  }
  class Memory {
    constructor(descriptor: { initial: number; maximum?: number });
    readonly buffer: ArrayBuffer;
    grow(pages: number): number;
  }
  class Global<T = number | bigint> {
    constructor(descriptor: { value: ValueType; mutable?: boolean }, value?: T);
    value: T;
  }
  class Table {
    readonly length: number;
    set(index: number, value: unknown): void;
  }
  type ExportedFunction = (...args: (number | bigint)[]) => number | bigint | undefined;
  type Exported = ExportedFunction | Global | Memory | Table;
  class Instance {
    constructor(module: Module, imports?: Record<string, Record<string, unknown>>);
    readonly exports: Record<string, Exported>;
  }
  class RuntimeError extends Error {}
  class LinkError extends Error {}
  class CompileError extends Error {}
  function validate(bytes: Uint8Array): boolean;
}
