// Patches: row m of the patch matrix holds what the kernel sees from output pixel m (counted over all images), in the order of
// the weight's rows: column (ky·kw + kx)·C + c. Offsets in `geometry` (i32, see README.md): H 0, W 4, C 8, S 12, OH 16, OW 20,
// O' 24, kh 28, kw 32, strideH 36, strideW 40, padTop 44, padLeft 48, dilationH 52, dilationW 56.

/** Number of columns of the patch matrix of C channels, K = kh·kw·C. */
export function patchColumns(geometry: usize, C: i32): i32 {
  return load<i32>(geometry, 28) * load<i32>(geometry, 32) * C
}

/**
 * The first column at or before `column` from which patches can be copied by fours: its channel is a multiple of 4.
 */
export function alignColumn(column: i32, C: i32): i32 {
  return column - ((column % C) & 3)
}

/**
 * Where a block of columns that starts at `column` ends: after whole taps of the kernel where `most` columns hold one, else within
 * a tap at a multiple of 4 channels, and never beyond `end`.
 */
export function blockEnd(column: i32, most: i32, end: i32, C: i32): i32 {
  if (column + most >= end) return end
  const stop = column + most
  const tap = stop - (stop % C)
  return tap > column ? tap : alignColumn(stop, C)
}

/**
 * patches[m - from, column - firstColumn] of the output pixels from … to - 1, columns firstColumn … endColumn - 1.
 * patches: f32[to - from, step], written, and up to 3 floats behind the last column of each row; firstColumn as from `alignColumn`.
 * x: f32[N, H, W, S], of which the C channels from x on are seen; what lies outside the picture is zero. All in elements.
 */
export function copyPatches(
  x: usize,
  C: i32,
  geometry: usize,
  patches: usize,
  step: i32,
  from: i32,
  to: i32,
  firstColumn: i32,
  endColumn: i32,
): void {
  const H = load<i32>(geometry)
  const W = load<i32>(geometry, 4)
  const S = load<i32>(geometry, 12)
  const OH = load<i32>(geometry, 16)
  const OW = load<i32>(geometry, 20)
  const kw = load<i32>(geometry, 32)
  const strideH = load<i32>(geometry, 36)
  const strideW = load<i32>(geometry, 40)
  const kh = load<i32>(geometry, 28)
  const padTop = load<i32>(geometry, 44)
  const padLeft = load<i32>(geometry, 48)
  const dilationH = load<i32>(geometry, 52)
  const dilationW = load<i32>(geometry, 56)

  // Where a block holds all columns, most pixels need no look at each tap.
  const whole = firstColumn == 0 && endColumn == kh * kw * C
  // Taps that follow each other in a row of the picture are one stretch of memory where pixels have neither padding nor gaps.
  const joined = C == S && dilationW == 1
  let ox = from % OW
  let oy = (from / OW) % OH
  let image = x + ((<usize>(from / OW / OH) * <usize>(H * W * S)) << 2)
  for (let m = from; m < to; m++) {
    const left = ox * strideW - padLeft
    const top = oy * strideH - padTop
    const inner = whole && left >= 0 && top >= 0 && left + (kw - 1) * dilationW < W && top + (kh - 1) * dilationH < H
    if (inner) {
      copyWindow(
        image + ((<usize>(top * W + left) * <usize>S) << 2),
        (<usize>(dilationH * W * S)) << 2,
        (<usize>(dilationW * S)) << 2,
        kh,
        kw,
        patches,
        (<usize>C) << 2,
      )
    }
    let tap = firstColumn / C
    let ky = tap / kw
    let kx = tap - ky * kw
    let channel = firstColumn - tap * C
    let column = inner ? endColumn : firstColumn
    let out = patches
    while (column < endColumn) {
      const y = top + ky * dilationH
      const inside = y >= 0 && y < H
      if (joined && channel == 0 && inside && left + kx >= 0 && left + kw <= W) {
        const count = min((kw - kx) * C, endColumn - column)
        copyFloats(out, image + ((<usize>(y * W + left + kx) * <usize>S) << 2), count)
        out += (<usize>count) << 2
        column += count
        kx = kw
      } else {
        const count = min(C - channel, endColumn - column)
        const xx = left + kx * dilationW
        if (inside && xx >= 0 && xx < W) {
          copyFloats(out, image + ((<usize>(y * W + xx) * <usize>S + <usize>channel) << 2), count)
        } else {
          zeroFloats(out, count)
        }
        out += (<usize>count) << 2
        column += count
        channel = 0
        kx++
      }
      if (kx == kw) {
        kx = 0
        ky++
      }
    }
    patches += (<usize>step) << 2
    if (++ox == OW) {
      ox = 0
      if (++oy == OH) {
        oy = 0
        image += (<usize>(H * W * S)) << 2
      }
    }
  }
}

/**
 * A window that lies within the picture: `bytes` of channels of kh·kw pixels. Whole vectors are copied, what is behind the last
 * channel is overwritten by the next pixel. Steps in bytes.
 */
function copyWindow(source: usize, rowStep: usize, pixelStep: usize, kh: i32, kw: i32, out: usize, bytes: usize): void {
  for (; kh > 0; kh--) {
    let from = source
    let pixels = kw
    if (bytes <= 16) {
      for (; pixels >= 3; pixels -= 3) {
        const middle = v128.load(from + pixelStep)
        const last = v128.load(from + 2 * pixelStep)
        v128.store(out, v128.load(from))
        v128.store(out + bytes, middle)
        v128.store(out + 2 * bytes, last)
        from += 3 * pixelStep
        out += 3 * bytes
      }
    }
    for (; pixels > 0; pixels--) {
      for (let i: usize = 0; i < bytes; i += 16) v128.store(out + i, v128.load(from + i))
      from += pixelStep
      out += bytes
    }
    source += rowStep
  }
}

/** Copies by fours: up to 3 floats behind the end are written too, and overwritten by what comes next. */
function copyFloats(to: usize, from: usize, count: i32): void {
  const end = to + ((<usize>count) << 2)
  for (; to < end; to += 16) {
    v128.store(to, v128.load(from))
    from += 16
  }
}

function zeroFloats(to: usize, count: i32): void {
  const end = to + ((<usize>count) << 2)
  for (; to < end; to += 16) v128.store(to, f32x4.splat(0))
}

/**
 * The way back: dx[pixel] += patches, for one image. patches as in `copyPatches` without anything behind a row's end, from and to
 * counted within the image; dx starts at the image. Contributions are added in the order of output pixels, then of taps.
 */
export function addPatches(
  dx: usize,
  C: i32,
  geometry: usize,
  patches: usize,
  step: i32,
  from: i32,
  to: i32,
  firstColumn: i32,
  endColumn: i32,
): void {
  const H = load<i32>(geometry)
  const W = load<i32>(geometry, 4)
  const S = load<i32>(geometry, 12)
  const OW = load<i32>(geometry, 20)
  const kh = load<i32>(geometry, 28)
  const kw = load<i32>(geometry, 32)
  const strideH = load<i32>(geometry, 36)
  const strideW = load<i32>(geometry, 40)
  const padTop = load<i32>(geometry, 44)
  const padLeft = load<i32>(geometry, 48)
  const dilationH = load<i32>(geometry, 52)
  const dilationW = load<i32>(geometry, 56)

  // Where a block holds all columns, most pixels need no look at each tap.
  const whole = firstColumn == 0 && endColumn == kh * kw * C && (C & 3) == 0
  let ox = from % OW
  let oy = from / OW
  for (let m = from; m < to; m++) {
    const left = ox * strideW - padLeft
    const top = oy * strideH - padTop
    const inner = whole && left >= 0 && top >= 0 && left + (kw - 1) * dilationW < W && top + (kh - 1) * dilationH < H
    if (inner) {
      addWindow(
        dx + ((<usize>(top * W + left) * <usize>S) << 2),
        (<usize>(dilationH * W * S)) << 2,
        (<usize>(dilationW * S)) << 2,
        kh,
        kw,
        patches,
        (<usize>C) << 2,
      )
    }
    let tap = firstColumn / C
    let ky = tap / kw
    let kx = tap - ky * kw
    let channel = firstColumn - tap * C
    let column = inner ? endColumn : firstColumn
    let source = patches
    while (column < endColumn) {
      const count = min(C - channel, endColumn - column)
      const y = top + ky * dilationH
      const xx = left + kx * dilationW
      if (y >= 0 && y < H && xx >= 0 && xx < W) {
        addFloats(dx + ((<usize>(y * W + xx) * <usize>S + <usize>channel) << 2), source, count)
      }
      source += (<usize>count) << 2
      column += count
      channel = 0
      if (++kx == kw) {
        kx = 0
        ky++
      }
    }
    patches += (<usize>step) << 2
    if (++ox == OW) {
      ox = 0
      oy++
    }
  }
}

/** The way back of `copyWindow`; bytes is a multiple of 16. */
function addWindow(
  target: usize,
  rowStep: usize,
  pixelStep: usize,
  kh: i32,
  kw: i32,
  source: usize,
  bytes: usize,
): void {
  for (; kh > 0; kh--) {
    let to = target
    for (let pixels = kw; pixels > 0; pixels--) {
      for (let i: usize = 0; i < bytes; i += 16) {
        v128.store(to + i, f32x4.add(v128.load(to + i), v128.load(source + i)))
      }
      to += pixelStep
      source += bytes
    }
    target += rowStep
  }
}

function addFloats(to: usize, from: usize, count: i32): void {
  const end = to + ((<usize>count) << 2)
  for (; to + 16 <= end; to += 16) {
    v128.store(to, f32x4.add(v128.load(to), v128.load(from)))
    from += 16
  }
  for (; to < end; to += 4) {
    store<f32>(to, load<f32>(to) + load<f32>(from))
    from += 4
  }
}
