/**
 * Follows how high the operand stack of a validated function grows, without its types. The greatest
 * height bounds the frame that the engine's baseline compiler makes.
 */
import type { ParsedModule } from './module.ts';

interface ControlFrame {
  readonly base: number;
  readonly params: number;
  readonly results: number;
}

export class OperandHeight {
  readonly #module: ParsedModule;
  readonly #frames: ControlFrame[];
  #height = 0;
  /** Greatest height seen. */
  max = 0;

  constructor(module: ParsedModule, results: number) {
    this.#module = module;
    this.#frames = [{ base: 0, params: 0, results }];
  }

  /** Open control frames; the function's own counts as one. Zero after its final `end`. */
  get depth(): number {
    return this.#frames.length;
  }

  #top(): ControlFrame {
    return this.#frames.at(-1) ?? { base: 0, params: 0, results: 0 };
  }

  pop(count: number): void {
    // After an unconditional branch operands come out of nowhere; never below the frame's base.
    this.#height = Math.max(this.#top().base, this.#height - count);
  }

  push(count: number): void {
    this.#height += count;
    this.max = Math.max(this.max, this.#height);
  }

  open(type: { readonly params: number; readonly results: number }): void {
    this.pop(type.params);
    this.#frames.push({ base: this.#height, ...type });
    this.push(type.params);
  }

  alternative(): void {
    const frame = this.#top();
    this.#height = frame.base + frame.params;
  }

  close(): void {
    const frame = this.#frames.pop();
    if (!frame) return;
    this.#height = frame.base;
    this.push(frame.results);
  }

  unreachable(): void {
    this.#height = this.#top().base;
  }

  call(typeIndex: number | undefined): void {
    const type = typeIndex === undefined ? undefined : this.#module.types[typeIndex];
    this.pop(type?.params.length ?? 0);
    this.push(type?.results.length ?? 0);
  }
}
