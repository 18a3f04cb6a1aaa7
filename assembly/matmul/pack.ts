/**
 * The right-hand matrix in the order in which `matmul` reads it: panels of 8 columns, one after the other; within a panel
 * row after row, 8 floats each. The last panel is 4 wide where N, rounded up to a multiple of 4, asks for no more: the
 * packed matrix is exactly K·N4 floats, and the panel of column n starts at float n·K.
 */

/**
 * packed = panels of b.  b: f32[K, ldb], its first N columns; columns past N become zero.
 * packed: f32[K·4·ceil(N/4)], written, may not overlap b. Units: panels of 8 columns.
 */
export function packB(b: usize, ldb: i32, packed: usize, K: i32, N: i32, from: i32, to: i32): void {
  pack(b, (<usize>ldb) << 2, 4, packed, K, N, from, to)
}

/**
 * packed = panels of the transposed b: its element (k, n) is b[n, k].  b: f32[N, ldb], its first K columns.
 * packed: f32[K·4·ceil(N/4)], written, may not overlap b. Units: panels of 8 columns.
 */
export function packBTransposed(b: usize, ldb: i32, packed: usize, K: i32, N: i32, from: i32, to: i32): void {
  pack(b, 4, (<usize>ldb) << 2, packed, K, N, from, to)
}

/** Element (k, n) of the source is at b + k·rowStep + n·columnStep (bytes). */
function pack(b: usize, rowStep: usize, columnStep: usize, packed: usize, K: i32, N: i32, from: i32, to: i32): void {
  for (let panel = from; panel < to; panel++) {
    const n = panel << 3
    const width = N - n > 4 ? 8 : 4
    packPanel(
      b + <usize>n * columnStep,
      rowStep,
      columnStep,
      packed + ((<usize>n * <usize>K) << 2),
      K,
      width,
      min(width, N - n),
    )
  }
}

function packPanel(
  source: usize,
  rowStep: usize,
  columnStep: usize,
  panel: usize,
  K: i32,
  width: i32,
  columns: i32,
): void {
  if (columnStep == 4 && columns == width) return copyPanel(source, rowStep, panel, K, width)
  const step = (<usize>width) << 2
  for (let column = 0; column < width; column++) {
    let to = panel + ((<usize>column) << 2)
    const end = to + <usize>K * step
    if (column >= columns) {
      for (; to < end; to += step) store<f32>(to, 0)
    } else {
      let from = source + <usize>column * columnStep
      for (; to < end; to += step) {
        store<f32>(to, load<f32>(from))
        from += rowStep
      }
    }
  }
}

function copyPanel(source: usize, rowStep: usize, panel: usize, K: i32, width: i32): void {
  const end = panel + ((<usize>K * <usize>width) << 2)
  if (width == 4) {
    for (; panel < end; panel += 16) {
      v128.store(panel, v128.load(source))
      source += rowStep
    }
  } else {
    for (; panel < end; panel += 32) {
      const first = v128.load(source)
      const second = v128.load(source, 16)
      v128.store(panel, first)
      v128.store(panel, second, 16)
      source += rowStep
    }
  }
}
