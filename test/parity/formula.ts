// Weights and pictures as fixtures/record.py makes them: numbers that follow from names and places.
import { type Graph, parameterName, parametersOf } from '../../src/graph/graph.ts'
import type { HostTensor } from '../../src/tensor/host-tensor.ts'
import { elementCount } from '../../src/tensor/shape.ts'

/** Calls `visit` with numbers from -1 to 1: FNV-1a of the name, then a hash of each place. */
function eachUniform(name: string, count: number, visit: (value: number, at: number) => void): void {
  let seed = 0x811c9dc5
  for (const byte of new TextEncoder().encode(name)) seed = Math.imul(seed ^ byte, 0x01000193)
  for (let at = 0; at < count; at++) {
    let h = (Math.imul(at, 0x9e3779b9) + seed) | 0
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
    h = (h ^ (h >>> 16)) >>> 0
    visit((2 * (h >>> 8)) / 2 ** 24 - 1, at)
  }
}

/** A tensor of this name. */
export function formulaTensor(name: string, shape: readonly number[], gain: number): HostTensor {
  const data = new Float32Array(elementCount(shape))
  const last = name.slice(name.lastIndexOf('.') + 1)
  const [centre, spread] =
    last === 'cls_token' || last === 'pos_embed'
      ? [0, 0.5]
      : last === 'gamma'
        ? [0.4, 0.2]
        : shape.length >= 2
          ? [0, Math.sqrt(6 / elementCount(shape.slice(1)))]
          : last === 'running_var'
            ? [1, 0.5]
            : last === 'weight'
              ? [gain, 0.2]
              : [0, 0.1]
  eachUniform(name, data.length, (value, at) => {
    data[at] = centre + spread * value
  })
  return { shape, data }
}

/** @param gain  what norms multiply by, about */
export function formulaWeights(graph: Graph, gain: number): ReadonlyMap<string, HostTensor> {
  return new Map(
    graph.layers.flatMap((layer) =>
      parametersOf(layer).map((spec) => {
        const name = parameterName(layer, spec)
        return [name, formulaTensor(name, spec.shape, gain)] as const
      }),
    ),
  )
}

/** [N, H, W, 3]; the formula goes through them channels first. */
export function formulaPictures(images: number, size: number): Float32Array {
  const plane = size * size
  const pictures = new Float32Array(images * plane * 3)
  eachUniform('pictures', pictures.length, (value, at) => {
    const image = Math.floor(at / (3 * plane))
    const channel = Math.floor(at / plane) % 3
    pictures[(image * plane + (at % plane)) * 3 + channel] = value
  })
  return pictures
}

/** The product with numbers that follow from the name, which tells values in the wrong order. */
export function projectionOf(name: string, values: Float32Array): number {
  let sum = 0
  eachUniform(`projection of ${name}`, values.length, (value, at) => {
    sum += value * (values[at] ?? Number.NaN)
  })
  return sum
}
