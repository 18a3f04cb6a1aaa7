// Resizing of RGB bytes in a worker of its own, strip by strip. A job is a block of memory that `prepare` fills; nothing else is
// kept. Integer arithmetic alone: there is one build.
import { addRow, finishRow, narrowRow, packPairs, startSums } from './rows'
import { filterWeights, tapsOf } from './weights'

/** What stands at the beginning of a job. Places are byte offsets from there. */
// @ts-ignore: decorator of AssemblyScript
@unmanaged
class Job {
  inputWidth: i32
  width: i32
  height: i32
  mirrored: i32
  columnTaps: i32
  rowTaps: i32
  /** Rows of sums, used in turn. */
  ring: i32
  /** Bytes of a row, rounded up to whole vectors. */
  rowBytes: i32
  /** The next output row to be finished. */
  next: i32
  columnStarts: i32
  columnEnds: i32
  columnWeights: i32
  rowStarts: i32
  rowEnds: i32
  rowWeights: i32
  narrow: i32
  sums: i32
  output: i32
  end: i32
}

const HEADER: i32 = 128

function evenTaps(inputSize: i32, outputSize: i32, interpolation: i32): i32 {
  return (tapsOf(inputSize, outputSize, interpolation) + 1) & ~1
}

/** Most output rows that one input row can count for. */
function ringOf(inputHeight: i32, outputHeight: i32, height: i32, interpolation: i32): i32 {
  const scale = <f64>outputHeight / <f64>inputHeight
  const taps = <f64>tapsOf(inputHeight, outputHeight, interpolation)
  return min<i32>(height, <i32>ceil(taps * min<f64>(scale, <f64>height)) + 2)
}

/** Bytes that a job takes; above 2^31 as a float. */
export function jobBytes(
  inputWidth: i32,
  inputHeight: i32,
  outputWidth: i32,
  outputHeight: i32,
  width: i32,
  height: i32,
  interpolation: i32,
): f64 {
  const rowBytes = <f64>rowBytesOf(width)
  const columnTaps = <f64>evenTaps(inputWidth, outputWidth, interpolation)
  const rowTaps = <f64>evenTaps(inputHeight, outputHeight, interpolation)
  const ring = <f64>ringOf(inputHeight, outputHeight, height, interpolation)
  const tables = <f64>width * (8 + 4 * columnTaps) + <f64>height * (8 + 4 * rowTaps) + 8 * max(columnTaps, rowTaps)
  return <f64>HEADER + tables + rowBytes * (1 + 4 * ring + <f64>height) + 10 * 16
}

function rowBytesOf(width: i32): i32 {
  // One byte more, which narrowRow writes.
  return (width * 3 + 1 + 15) & ~15
}

/**
 * Makes a job: a window of the picture as resized to outputWidth x outputHeight.
 * @returns address of the output: `height` rows of `rowBytes` bytes, of which 3 · width count
 */
export function prepare(
  address: usize,
  inputWidth: i32,
  inputHeight: i32,
  outputWidth: i32,
  outputHeight: i32,
  left: i32,
  top: i32,
  width: i32,
  height: i32,
  interpolation: i32,
  mirrored: i32,
): usize {
  const job = changetype<Job>(address)
  job.inputWidth = inputWidth
  job.width = width
  job.height = height
  job.mirrored = mirrored
  job.columnTaps = evenTaps(inputWidth, outputWidth, interpolation)
  job.rowTaps = evenTaps(inputHeight, outputHeight, interpolation)
  job.ring = ringOf(inputHeight, outputHeight, height, interpolation)
  job.rowBytes = rowBytesOf(width)
  job.next = 0
  let place = HEADER
  job.columnStarts = place
  place = behind(place, width << 2)
  job.columnEnds = place
  place = behind(place, width << 2)
  job.columnWeights = place
  place = behind(place, (width * job.columnTaps) << 2)
  job.rowStarts = place
  place = behind(place, height << 2)
  job.rowEnds = place
  place = behind(place, height << 2)
  job.rowWeights = place
  place = behind(place, (height * job.rowTaps) << 2)
  job.narrow = place
  place = behind(place, job.rowBytes)
  job.sums = place
  place = behind(place, (job.rowBytes * job.ring) << 2)
  job.output = place
  place = behind(place, job.rowBytes * height)
  const scratch = address + <usize>place

  memory.fill(address + job.columnWeights, 0, <usize>(width * job.columnTaps) << 2)
  filterWeights(
    inputWidth,
    outputWidth,
    left,
    width,
    interpolation,
    address + job.columnStarts,
    address + job.columnEnds,
    address + job.columnWeights,
    job.columnTaps,
    scratch,
  )
  packPairs(address + job.columnWeights, width * job.columnTaps)
  filterWeights(
    inputHeight,
    outputHeight,
    top,
    height,
    interpolation,
    address + job.rowStarts,
    address + job.rowEnds,
    address + job.rowWeights,
    job.rowTaps,
    scratch,
  )
  memory.fill(address + job.narrow, 0, job.rowBytes)
  startSums(address + job.sums, job.rowBytes * job.ring)
  return address + job.output
}

// @ts-ignore: decorator of AssemblyScript
@inline
function behind(place: i32, bytes: i32): i32 {
  return (place + bytes + 15) & ~15
}

/** The first input row that counts for the window. */
export function firstRow(address: usize): i32 {
  return load<i32>(address + changetype<Job>(address).rowStarts)
}

/** Behind the last input row that counts for the window. */
export function endRow(address: usize): i32 {
  const job = changetype<Job>(address)
  let end = 0
  for (let y = 0; y < job.height; y++) end = max(end, load<i32>(address + job.rowEnds + (y << 2)))
  return end
}

/** Takes in `count` rows of RGB bytes, the next ones; `from` is the number of the first in the picture. */
export function takeRows(address: usize, source: usize, from: i32, count: i32): void {
  const job = changetype<Job>(address)
  const length = job.rowBytes
  const narrow = address + job.narrow
  for (let row = from; row < from + count; row++) {
    narrowRow(
      source,
      narrow,
      job.width,
      address + job.columnStarts,
      address + job.columnEnds,
      address + job.columnWeights,
      job.columnTaps,
      job.mirrored != 0,
    )
    source += <usize>job.inputWidth * 3
    // Starts and ends rise with y.
    for (let y = job.next; y < job.height; y++) {
      const start = load<i32>(address + job.rowStarts + (y << 2))
      if (start > row) break
      const end = load<i32>(address + job.rowEnds + (y << 2))
      const sums = address + job.sums + <usize>((y % job.ring) * length) * 4
      if (row < end) {
        const weight = load<i32>(address + job.rowWeights + ((y * job.rowTaps + row - start) << 2))
        addRow(narrow, sums, length, weight)
      }
      if (row + 1 >= end && y == job.next) {
        finishRow(sums, address + job.output + <usize>(y * length), length)
        job.next = y + 1
      }
    }
  }
}

/**
 * CMYK bytes to RGB in place, as Pillow's formula has it: (255 - ink)(255 - black) / 255, rounded. A larger byte is more ink.
 */
export function inkToRgb(pixels: usize, count: i32): void {
  let target = pixels
  for (let end = pixels + ((<usize>count) << 2); pixels < end; pixels += 4) {
    const light = 255 - <i32>load<u8>(pixels, 3)
    for (let c: usize = 0; c < 3; c++) {
      const product = (255 - <i32>load<u8>(pixels + c)) * light
      store<u8>(target + c, (product + 127) / 255)
    }
    target += 3
  }
}
