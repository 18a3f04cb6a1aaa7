// Winograd's algorithm for 3x3 convolutions of stride 1, in both directions: which kernel calls it consists of.
import { SCRATCH } from '../kernels/program.ts'
import type { Place, Recorder } from './op.ts'
import { paddedChannels } from './op.ts'

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
/** What is multiplied at once. */
const GRAIN = 4
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
  const planeBytes = Math.ceil((rows * columns * 4) / 64) * 64 + 64
  return record.derived(
    `${direction} weight for winograd`,
    POINTS * planeBytes,
    'winogradWeight',
    (packed) => [record.parameter('weight'), inChannels, stride, turned ? 1 : 0, packed],
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
  const planes = (name: string, channels: number) =>
    record.temporary(name, POINTS * (tiles.perImage * channels * 4 + GAP_BYTES))
  const v = planes('transformed input', S)
  const m = planes('products', O)
  record.call('winogradInput', [source, v, tiles, table, SCRATCH], tiles)
  record.call('winogradMultiply', [v, packed, m, tiles, C, S, O], POINTS * Math.ceil(O / 8))
  record.call('winogradOutput', [m, target, bias, residual, activation, tiles, table, SCRATCH], tiles)
}
