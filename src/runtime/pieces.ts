// Cuts the way of a few calls through a batch into pieces whose data fits the cache.
import type { Call, Pieces } from '../kernels/program.ts'
import type { Block, Flow, Place } from '../ops/op.ts'

export interface FlowingCall {
  readonly call: Call<Place>
  readonly flow: Flow
}

/** What the data of a piece may take of a second-level cache of 1 MiB and more, of which the weights want a part. */
const PIECE_BYTES = 640 * 1024

/** Whether a call may follow another one piece by piece: it goes through what the other one writes. */
export function follows(next: Flow, before: Flow): boolean {
  return (next.reach?.rows ?? next.rows) === before.rows
}

/**
 * @param calls           each reads of the ones before it no more than its flow says
 * @param passing         whether a block is data of the batch, which passes through the cache
 * @param stripUnitBytes  bytes of a unit of the first call, where that writes the strip: then each piece has all that it reads
 */
export function piecesOf(
  calls: readonly FlowingCall[],
  passing: (block: Block) => boolean,
  stripUnitBytes = 0,
): Pieces {
  const images = Math.max(...calls.map(({ call }) => imagesPerUnit(call)))
  const strip = calls[0] ? stripUnitBytes * unitsPerImage(calls[0].call) : 0
  const bytes = (bytesPerImage(calls, passing) + strip) * images
  const rows = rowsPerPiece(calls, bytes, images)
  // Rows that each call has done after each piece: what the calls behind it need by then, and all of them at the end.
  const done: number[][] = []
  for (const [at, own] of [...calls.entries()].reverse()) {
    const behind = calls[at + 1]
    const needed = done[0]
    const multiple = rowsPerUnit(own)
    done.unshift(
      behind && needed
        ? needed.map((count, piece) => {
            if (piece === needed.length - 1) return own.flow.rows
            const end = behind.flow.reach ? behind.flow.reach.end(count - 1) : count
            return Math.min(own.flow.rows, Math.ceil(Math.max(end, 0) / multiple) * multiple)
          })
        : Array.from({ length: Math.ceil(own.flow.rows / rows) }, (_, piece) =>
            Math.min(own.flow.rows, (piece + 1) * rows),
          ),
    )
  }
  return {
    images,
    ranges: calls.map(({ call, flow }, at) => {
      const to = (done[at] ?? []).map((count) => (unitsPerImage(call) * images * count) / flow.rows)
      const from = [0, ...to.slice(0, -1)]
      const reach = calls[1]?.flow.reach
      if (at > 0 || !stripUnitBytes || !reach) return { from, to }
      const starts = [0, ...(done[1] ?? []).slice(0, -1)]
      const unitsPerRow = (unitsPerImage(call) * images) / flow.rows
      return { from: starts.map((row) => Math.max(0, reach.first(row)) * unitsPerRow), to }
    }),
    together: Math.max(1, Math.floor(PIECE_BYTES / bytes)),
    joined: calls.some(({ flow }, at) => at > (stripUnitBytes ? 1 : 0) && flow.reach !== undefined),
  }
}

/** Rows of the last call in a piece: as many as fit, spread evenly, in whole units. */
function rowsPerPiece(calls: readonly FlowingCall[], bytes: number, images: number): number {
  const last = calls[calls.length - 1]
  if (!last) throw new Error('a step has at least one call')
  const { rows } = last.flow
  if (images > 1 || bytes <= PIECE_BYTES) return rows
  const multiple = rowsPerUnit(last)
  const most = Math.max(1, Math.floor((rows * PIECE_BYTES) / bytes / multiple)) * multiple
  const count = Math.ceil(rows / most)
  return Math.ceil(rows / count / multiple) * multiple
}

function unitsPerImage({ units }: Call<Place>): number {
  if (typeof units === 'number') throw new Error('what flows through pictures has units in each of them')
  return units.perImage / (units.blockRows ?? 1)
}

/** Pictures that a unit spans, where it spans several. */
function imagesPerUnit(call: Call<Place>): number {
  return Math.max(1, 1 / unitsPerImage(call))
}

/** Rows of a picture that a unit spans, where it spans several. */
function rowsPerUnit({ call, flow }: FlowingCall): number {
  return Math.max(1, Math.min(flow.rows, flow.rows / unitsPerImage(call)))
}

function bytesPerImage(calls: readonly FlowingCall[], passing: (block: Block) => boolean): number {
  const blocks = new Set<Block>()
  for (const { call } of calls) {
    for (const argument of call.args) {
      if (typeof argument === 'object' && 'block' in argument && passing(argument.block)) blocks.add(argument.block)
    }
  }
  return [...blocks].reduce((sum, block) => sum + block.bytesPerImage, 0)
}

/** Bytes of the largest part of a strip that a piece takes. */
export function stripBytes(pieces: Pieces, unitBytes: number): number {
  const [range] = pieces.ranges
  const units = range?.to.map((end, piece) => end - (range.from[piece] ?? 0)) ?? []
  return Math.max(...units) * (units.length === 1 ? pieces.together : 1) * unitBytes
}
