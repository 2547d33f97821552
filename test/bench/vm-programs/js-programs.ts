/**
 * Random JavaScript programs that together call every builtin of the metered engine: the builtins are
 * found by walking the global object inside the guest, then dealt out, a few to each program, between
 * statements of every kind.
 */
import { Random } from './random.ts';

/** Lists every function within three steps of the global object as `path|kind`. */
export const LIST_BUILTINS = `
const seen = new Set();
const out = [];
const walk = (value, path, depth) => {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null || seen.has(value)) return;
  seen.add(value);
  for (const key of Reflect.ownKeys(value)) {
    const name = typeof key === 'symbol' ? '[' + String(key.description) + ']' : '.' + key;
    const d = Reflect.getOwnPropertyDescriptor(value, key);
    for (const [what, member] of [['', d.value], ['get ', d.get], ['set ', d.set]]) {
      if (typeof member === 'function') out.push(what + path + name);
      if (depth < 3) walk(member, path + name, depth + 1);
    }
  }
};
export default (say) => {
  walk(globalThis, 'globalThis', 0);
  for (const [name, value] of [['(function*(){})', function* () {}], ['([][Symbol.iterator]())', [][Symbol.iterator]()], ['(async()=>{})', async () => {}], ['("".matchAll(/x/g))', ''.matchAll(/x/g)]])
    walk(Object.getPrototypeOf(value), 'Object.getPrototypeOf' + name, 1);
  say(out.join('\\n'));
};`;

const VALUES = [
  ...['0', '1', '-1', '2', '1.5', '-0', 'NaN', 'Infinity', '2**40', '3n', '-7n', '2n**70n'],
  ...['"abc"', '"héllo 😀"', '""', '"3"', 'true', 'false', 'null', 'undefined'],
  ...['[3,1,2]', '[]', '["b","a"]', '[[1,2],[3]]', '({a:1,b:"x"})', '/b+/g', '/(?<y>\\\\d)/y'],
  ...['new Map([[1,2]])', 'new Set([1,2])', '(x)=>x', '(a,b)=>a<b?-1:1', 'function(){return this}'],
  ...['Symbol.iterator', 'new Uint8Array([5,1,4])', 'new Float64Array(2)', 'new ArrayBuffer(8)'],
  ...[
    'new Error("e")',
    'Array',
    'Object',
    'new DataView(new ArrayBuffer(8))',
    'Promise.resolve(1)',
  ],
  ...['new Proxy({}, {})', '{get length(){return 2}}', '[1n,2n]', 'new Date0()', 'Int8Array'],
].map((text) =>
  text === 'new Date0()' ? 'Object(1)' : text.startsWith('{get') ? `(${text})` : text,
);

const STATEMENTS: readonly ((r: Random) => string)[] = [
  () =>
    'class A { #x = 1; static y = 2; get x() { return this.#x; } set x(v) { this.#x = v; } } const a = new A(); a.x = 5; note(a.x, A.y);',
  () =>
    'function* g(n) { try { while (n--) yield n; } finally { note("end"); } } note([...g(4)]); for (const v of g(3)) { if (v === 1) break; }',
  () => 'const { p, q: [r1, ...rest], s = 4 } = { p: 1, q: [2, 3, 5] }; note(p, r1, rest, s);',
  () =>
    'outer: for (let i = 0; i < 4; i++) { for (const k in { a: 1, b: 2 }) { if (i === 2) continue outer; if (k === "b") break; note(i, k); } }',
  () => 'try { null.x; } catch ({ name }) { note(name); } finally { note("finally"); }',
  () => 'switch (3) { case 1: note(1); case 3: note(3); default: note("d"); }',
  () => 'const tag = (s, ...v) => s.raw.join("|") + v.join(); note(tag`a${1}b\\\\n${2}`);',
  () =>
    'async function f() { for await (const x of [1, Promise.resolve(2)]) note(x); return "async"; } f().then(note, note);',
  (r) =>
    `note(eval("${r.below(90)} + ${r.below(90)} ** 2"), new Function("a", "return a * 2")(${r.below(50)}));`,
  (r) =>
    `let t = 0; for (let i = 0; i < ${20 + r.below(200)}; i++) t = (t * 31 + i) % 1000003; note(t);`,
  () =>
    'note([1, 2, 3, 4].map((x) => x * x).filter((x) => x & 1).reduce((a, b) => a + b), "x".padStart(5, "ab"));',
  () =>
    'const w = new Proxy({ z: 1 }, { get: (t, k) => Reflect.get(t, k) ?? k, has: () => true }); note(w.z, w.q, "n" in w);',
  () =>
    'note(JSON.stringify({ a: [1, { b: null }], c: "\\\\u2028" }), JSON.parse("[1,{\\"a\\":2}]"));',
  () =>
    'const deep = (n) => (n === 0 ? 0 : 1 + deep(n - 1)); note(deep(100)); try { const f = () => f(); f(); } catch (e) { note(e.name); }',
  () =>
    'note((0.1 + 0.2).toFixed(10), (255).toString(16), parseFloat("1e-7x"), 7 % -3, -7 >>> 28, 2 ** 0.5, 5n ** 30n);',
  () => 'note(a1?.b, a1 ?? "none", typeof a1, void 0, [, 1].length, delete [].x); var a1;',
  () =>
    'note("aXbX".replace(/x/gi, (m, at) => m + at), "a-b-c".split(/-/), [..."a1b2".matchAll(/[a-z](\\\\d)/g)].map((m) => m[1]));',
];

const literal = (text: string): string => text.replaceAll('\\\\', '\\');

/** One program; `covered` collects the builtins it calls. */
export function jsProgram(
  seed: number,
  index: number,
  builtins: readonly string[],
  covered: Set<string>,
): string {
  const random = new Random(seed ^ 0x5eed);
  const lines: string[] = [];
  const perProgram = 12;
  for (let i = 0; i < perProgram; i++) {
    const path = builtins[(index * perProgram + i) % builtins.length] as string;
    covered.add(path);
    const args = Array.from({ length: random.below(4) }, () => random.pick(VALUES)).join(', ');
    lines.push(
      `attempt(${JSON.stringify(path)}, () => (${random.pick(VALUES)}), () => [${args}]);`,
    );
    if (i % 4 === 3) lines.push(`{ ${random.pick(STATEMENTS)(random)} }`);
  }
  return literal(
    `${HARNESS}\nexport default (say) => { start(say);\n${lines.join('\n')}\nfinish(); };`,
  );
}

/** Resolves a path of LIST_BUILTINS again, calls it on a fitting `this`, and writes down what came. */
const HARNESS = `
let tell; const said = [];
const show = (v, d = 0) => { try {
  if (v === null || typeof v !== 'object' && typeof v !== 'function') return typeof v === 'symbol' ? 'symbol' : Object.is(v, -0) ? '-0' : String(v) + (typeof v === 'bigint' ? 'n' : '');
  if (typeof v === 'function') return 'function';
  if (d > 2) return '…';
  if (v instanceof Error) return v.name;
  return Object.prototype.toString.call(v) + '{' + Reflect.ownKeys(v).slice(0, 20).map((k) => String(k) + ':' + show(v[k], d + 1)).join() + '}';
} catch (e) { return 'unshowable'; } };
const note = (...v) => { said.push(v.map((x) => show(x)).join(' ')); };
const start = (say) => { tell = say; };
const finish = () => { Promise.resolve().then(() => {}).then(() => tell(said.join(';').toWellFormed())); };
const roots = { 'Object.getPrototypeOf(function*(){})': Object.getPrototypeOf(function* () {}), 'Object.getPrototypeOf([][Symbol.iterator]())': Object.getPrototypeOf([][Symbol.iterator]()), 'Object.getPrototypeOf(async()=>{})': Object.getPrototypeOf(async () => {}), 'Object.getPrototypeOf("".matchAll(/x/g))': Object.getPrototypeOf(''.matchAll(/x/g)), globalThis };
const instances = { String: () => 'héllo', Number: () => 12.5, Boolean: () => true, BigInt: () => 77n, Symbol: () => Symbol('s'), Array: () => [3, 1, 2], Function: () => function f(a) { return a; }, RegExp: () => /(l+)o/g, Map: () => new Map([[1, 2]]), Set: () => new Set([1, 2]), WeakMap: () => new WeakMap(), WeakSet: () => new WeakSet(), Promise: () => Promise.resolve(3), Error: () => new Error('x'), ArrayBuffer: () => new ArrayBuffer(16), DataView: () => new DataView(new ArrayBuffer(16)), Uint8Array: () => new Uint8Array([9, 8, 7]), Object: () => ({ a: 1 }), Iterator: () => [1, 2, 3].values() };
const attempt = (path, makeThis, makeArgs) => {
  try {
    const what = path.startsWith('get ') ? 'get' : path.startsWith('set ') ? 'set' : 'value';
    const plain = what === 'value' ? path : path.slice(4);
    const root = Object.keys(roots).filter((r) => plain.startsWith(r)).sort((a, b) => b.length - a.length)[0];
    let holder, value = roots[root];
    const steps = plain.slice(root.length).match(/\\.[^.\\[]+|\\[[^\\]]*\\]/g) ?? [];
    let last;
    for (const step of steps) {
      holder = value;
      last = step[0] === '.' ? step.slice(1) : Reflect.ownKeys(holder).find((k) => typeof k === 'symbol' && '[' + String(k.description) + ']' === step);
      const d = Reflect.getOwnPropertyDescriptor(holder, last);
      value = d.value ?? d.get ?? d.set;
      if (step === steps.at(-1)) value = d[what];
    }
    const owner = steps[0]?.slice(1);
    const self = instances[owner] && plain.includes('.prototype') ? instances[owner]() : makeThis();
    const args = makeArgs();
    try { note(path, Reflect.apply(value, self, args)); } catch (e) { note(path, 'threw', e); }
    if (/^[A-Z]/.test(last?.toString() ?? '')) try { note('new', Reflect.construct(value, args)); } catch (e) { note('threw', e); }
  } catch (e) { note('lost', path, e); }
};`;
