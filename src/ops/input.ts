import { defineOp } from './op.ts'

export interface ImageInputAttributes {
  readonly height: number
  readonly width: number
  /** Of pixel values scaled to 0…1, per channel red, green, blue. They travel with the graph. */
  readonly mean: readonly [number, number, number]
  readonly std: readonly [number, number, number]
}

export interface TensorInputAttributes {
  /** Without the batch, channels last. */
  readonly shape: readonly number[]
}

/** Where pictures enter: RGB bytes become (v/255 - mean)/std, [N, H, W, 3]. The plan records the call. */
export const imageInput = defineOp<ImageInputAttributes>({
  shape: (attrs) => [attrs.height, attrs.width, 3],
  parameters: () => [],
  cost: () => 0,
  forward: () => {},
  backward: () => {},
})

/** Where activations that were computed before enter, such as feature vectors. */
export const tensorInput = defineOp<TensorInputAttributes>({
  shape: (attrs) => attrs.shape,
  parameters: () => [],
  cost: () => 0,
  forward: () => {},
  backward: () => {},
})
