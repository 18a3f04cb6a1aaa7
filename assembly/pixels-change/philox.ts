// Counted random numbers, those of src/random.ts: word w of block n under a key is what `philox([n, 0, 0, 0], key)[w]` is there.

const FIRST: u64 = 0xd2511f53
const SECOND: u64 = 0xcd9e8d57

/** Four random words of a block, to target. */
export function philox(target: usize, block: u32, key0: u32, key1: u32): void {
  let c0 = block
  let c1: u32 = 0
  let c2: u32 = 0
  let c3: u32 = 0
  let k0 = key0
  let k1 = key1
  for (let round = 0; round < 10; round++) {
    const p0 = FIRST * <u64>c0
    const p1 = SECOND * <u64>c2
    c0 = <u32>(p1 >> 32) ^ c1 ^ k0
    c1 = <u32>p1
    c2 = <u32>(p0 >> 32) ^ c3 ^ k1
    c3 = <u32>p0
    k0 += 0x9e3779b9
    k1 += 0xbb67ae85
  }
  store<u32>(target, c0)
  store<u32>(target, c1, 4)
  store<u32>(target, c2, 8)
  store<u32>(target, c3, 12)
}
