// Winograd's algorithm for 3x3 convolutions of stride 1, in both directions: which kernel calls it consists of.
import { SCRATCH } from '../kernels/program.ts'
import { type BackwardRecorder, firstInput, type Place, paddedChannels, type Recorder } from './op.ts'

/** A convolution from `source` to `target`: forward, or the gradient of the input, which is one too. */
export interface WinogradConvolution {
  readonly source: Place
  readonly target: Place
  /** As `winogradWeight` makes it. */
  readonly packed: Place
  readonly bias: Place | 0
  /** Added to the target; may be the target. */
  readonly residual: Place | 0
  readonly activation: number
  /** The geometry table from `source` to `target`. */
  readonly geometry: readonly number[]
}

const POINTS = 36
const TILE = 4
/** What is multiplied at once, and what shares a cache line. */
const GRAIN = 4
const LINE_GRAIN = 16
/**
 * Up to this many weights of a tap all transformed ones (2.3 MB) stay near the core, and it is best to work in strips of tiles.
 * Beyond it the stages follow each other for the whole batch, so that the weights are read once. The bits are the same.
 */
const STRIP_WEIGHTS = 128 * 128
/** The kernels leave up to two cache lines between the planes of points. */
const GAP_BYTES = 128

/** The geometry of the gradient of the input: the kernel turned around, what was padding p is 2 - p. */
export function turnedGeometry(geometry: readonly number[]): readonly number[] {
  const [H = 0, W = 0, , S = 0, OH = 0, OW = 0, O = 0, , , , , padTop = 0, padLeft = 0] = geometry
  return [OH, OW, O, O, H, W, S, 3, 3, 1, 1, 2 - padTop, 2 - padLeft, 1, 1]
}

/** Room for values in 36 planes, per picture. */
function planes(record: Recorder, name: string, tiles: number, stride: number): Place {
  return record.temporary(name, POINTS * (tiles * stride * 4 + GAP_BYTES))
}

/** Room for 36 matrices. */
function weightBytes(rows: number, columns: number): number {
  return POINTS * (rows * columns * 4 + GAP_BYTES)
}

/** The transformed weight of a layer: for its output, or turned for the gradient of its input. */
export function winogradWeight(
  record: Recorder,
  direction: 'forward' | 'backwardInput',
  inChannels: number,
  outChannels: number,
): Place {
  const stride = paddedChannels(outChannels)
  const turned = direction === 'backwardInput'
  const [rows, columns] = turned ? [stride, paddedChannels(inChannels)] : [inChannels, stride]
  return record.derived(
    `${direction} weight for winograd`,
    weightBytes(rows, columns),
    'winogradWeight',
    (packed) => [record.parameter('weight'), inChannels, stride, turned ? 1 : 0, packed, SCRATCH],
    Math.ceil(columns / 8),
  )
}

/** Records the calls of one convolution. */
export function recordWinograd(record: Recorder, convolution: WinogradConvolution): void {
  const { source, target, packed, bias, residual, activation, geometry } = convolution
  const [, , C = 0, S = 0, OH = 0, OW = 0, O = 0] = geometry
  const tiles = { perImage: Math.ceil(OH / TILE) * Math.ceil(OW / TILE) }
  const table = record.table(geometry)
  if (C * O <= STRIP_WEIGHTS) {
    record.call('winogradForward', [source, packed, target, bias, residual, activation, table, SCRATCH], tiles, GRAIN)
    return
  }
  const v = planes(record, 'transformed input', tiles.perImage, S)
  const m = planes(record, 'products', tiles.perImage, O)
  record.call('winogradInput', [source, v, S, tiles, table, SCRATCH], tiles)
  record.call('winogradMultiply', [v, packed, m, tiles, C, S, O], POINTS * Math.ceil(O / 8))
  record.call('winogradOutput', [m, target, bias, residual, activation, tiles, table, SCRATCH], tiles)
}

/** Records the calls that add the gradient of the weight, with `geometry` and channels as in the forward direction. */
export function recordWinogradWeightGradient(
  record: BackwardRecorder,
  dWeight: Place,
  geometry: readonly number[],
): void {
  const [, , C = 0, S = 0, OH = 0, OW = 0, O = 0] = geometry
  const tiles = { perImage: Math.ceil(OH / TILE) * Math.ceil(OW / TILE) }
  const table = record.table(geometry)
  // Tiles an odd number of cache lines apart: a column of them then spreads over all sets of the cache.
  const apart = (channels: number) => Math.ceil(channels / 32) * 32 + 16
  const [ldv, ldd] = [apart(S), apart(O)]
  const v = planes(record, 'transformed input', tiles.perImage, ldv)
  const d = planes(record, 'gradients of products', tiles.perImage, ldd)
  const sums = record.temporary('sums over tiles', weightBytes(C, O), 'fixed')
  record.call('winogradInput', [firstInput(record).place, v, ldv, tiles, table, SCRATCH], tiles)
  record.call('winogradOutputGradient', [record.dOutput, d, ldd, tiles, table, SCRATCH], tiles)
  record.call('winogradMultiplyTransposed', [v, ldv, d, ldd, sums, tiles, C, O], POINTS * C, LINE_GRAIN)
  record.call('winogradWeightGradient', [sums, dWeight, C, O, SCRATCH], C)
}
