// Lines, words, bytes and a checksum of the first input. AssemblyScript on WASI preview1:
//
//   npx asc examples/jobs/line-stats/assembly/index.ts -o line-stats.wasm \
//     --exportStart _start --runtime stub --use abort= -O3
//   seele run line-stats.wasm --in text=book.txt --follow

// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "fd_read")
declare function fd_read(fd: u32, vectors: usize, count: u32, done: usize): u32;
// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "fd_write")
declare function fd_write(fd: u32, vectors: usize, count: u32, done: usize): u32;

const STDIN: u32 = 0;
const STDOUT: u32 = 1;
const BUFFER_BYTES: u32 = 65536;

const buffer = memory.data(65536);
/** One WASI vector: address and length; behind it the number of bytes that moved. */
const vector = memory.data(12);

function read(): u32 {
  store<u32>(vector, <u32>buffer);
  store<u32>(vector + 4, BUFFER_BYTES);
  return fd_read(STDIN, vector, 1, vector + 8) == 0 ? load<u32>(vector + 8) : 0;
}

function write(text: string): void {
  const bytes = String.UTF8.encode(text);
  store<u32>(vector, <u32>changetype<usize>(bytes));
  store<u32>(vector + 4, <u32>bytes.byteLength);
  fd_write(STDOUT, vector, 1, vector + 8);
}

let lines: u64 = 0;
let words: u64 = 0;
let total: u64 = 0;
let checksum: u64 = 0xcbf29ce484222325; // FNV-1a
let inWord = false;

for (let size = read(); size > 0; size = read()) {
  total += size;
  for (let i: u32 = 0; i < size; i++) {
    const byte = load<u8>(buffer + i);
    checksum = (checksum ^ byte) * 0x100000001b3;
    if (byte == 10) lines++;
    const isSpace = byte == 32 || (byte >= 9 && byte <= 13);
    if (!isSpace && !inWord) words++;
    inWord = !isSpace;
  }
}
write(
  `{"lines":${lines},"words":${words},"bytes":${total},"fnv1a":"${checksum.toString(16)}"}\n`,
);
