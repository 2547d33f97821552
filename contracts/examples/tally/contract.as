// A tally in AssemblyScript: counts calls. The imports are those of module `seele`; what a contract
// stores and returns is canonical CBOR.

@external("seele", "get") declare function get(key: usize, keyLength: i32): i32;
@external("seele", "read") declare function read(to: usize): void;
@external("seele", "put") declare function put(key: usize, keyLength: i32, value: usize, valueLength: i32): void;
@external("seele", "output") declare function output(data: usize, length: i32): void;

const KEY: usize = memory.data<u8>([0x6e]); // "n"
const VALUE: usize = memory.data(5);

/** CBOR unsigned integer of 32 bits, in its shortest form. */
function encode(n: u32): i32 {
  if (n < 24) {
    store<u8>(VALUE, <u8>n);
    return 1;
  }
  if (n < 0x100) {
    store<u8>(VALUE, 0x18);
    store<u8>(VALUE, <u8>n, 1);
    return 2;
  }
  if (n < 0x10000) {
    store<u8>(VALUE, 0x19);
    store<u16>(VALUE, bswap<u16>(<u16>n), 1);
    return 3;
  }
  store<u8>(VALUE, 0x1a);
  store<u32>(VALUE, bswap<u32>(n), 1);
  return 5;
}

function stored(): u32 {
  if (get(KEY, 1) < 0) return 0;
  read(VALUE);
  const first = load<u8>(VALUE);
  if (first < 24) return first;
  if (first == 0x18) return load<u8>(VALUE, 1);
  if (first == 0x19) return bswap<u16>(load<u16>(VALUE, 1));
  return bswap<u32>(load<u32>(VALUE, 1));
}

/** Counts one more and returns the new number. */
export function add(): void {
  const length = encode(stored() + 1);
  put(KEY, 1, VALUE, length);
  output(VALUE, length);
}

/** The number so far. */
export function count(): void {
  output(VALUE, encode(stored()));
}
