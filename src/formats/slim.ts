// MobileNetV1 as TensorFlow's slim library names it, which the first weight manifests of TensorFlow.js hold.
import type { Checkpoint } from '../tensor/checkpoint.ts'
import { bytesPerElement } from '../tensor/dtype.ts'
import { checkpointOf, type StoredTensor } from './stored-tensors.ts'
import { copyStrided, rowMajorStrides } from './strided.ts'

/** Blocks of each stage; slim counts them through all stages, from 1. */
const blocksPerStage = [1, 2, 2, 6, 2]

const normNames: ReadonlyMap<string, string> = new Map([
  ['gamma', 'weight'],
  ['beta', 'bias'],
  ['moving_mean', 'running_mean'],
  ['moving_variance', 'running_var'],
])

/** The same tensors under timm's names and in PyTorch's order of axes; undefined when their names are not those of slim. */
export function fromSlimMobileNet(checkpoint: Checkpoint): Checkpoint | undefined {
  const tensors: StoredTensor[] = []
  for (const stored of checkpoint.names()) {
    const known = timmName(stored)
    if (known === undefined) return undefined
    const shape = checkpoint.shape(stored)
    const dtype = checkpoint.dtype(stored)
    const { name, order } = known
    if (order === undefined || order.length !== shape.length) {
      tensors.push({ name, dtype, shape, readBytes: () => checkpoint.readBytes(stored) })
      continue
    }
    const strides = rowMajorStrides(shape)
    const turned = order.map((axis) => shape[axis] ?? 1)
    const view = { offset: 0, shape: turned, strides: order.map((axis) => strides[axis] ?? 1) }
    const readBytes = async () => copyStrided(await checkpoint.readBytes(stored), bytesPerElement(dtype), view)
    // The classifier is a convolution there, a matrix here.
    tensors.push({ name, dtype, shape: name === 'classifier.weight' ? turned.slice(0, 2) : turned, readBytes })
  }
  return tensors.length === 0 ? undefined : checkpointOf(checkpoint.source, tensors, checkpoint)
}

/** timm's name, and where each of its axes stands in slim. */
function timmName(stored: string): { readonly name: string; readonly order?: readonly number[] } | undefined {
  if (stored === 'MobilenetV1/Logits/Conv2d_1c_1x1/weights') return { name: 'classifier.weight', order: [3, 2, 0, 1] }
  if (stored === 'MobilenetV1/Logits/Conv2d_1c_1x1/biases') return { name: 'classifier.bias' }
  const pattern = /^MobilenetV1\/Conv2d_(\d{1,2})(?:_(depthwise|pointwise))?\/(.+)$/
  const [, number, kind, part = ''] = pattern.exec(stored) ?? []
  if (number === undefined) return undefined
  const place = stageAndBlock(Number(number))
  if ((kind === undefined) !== (number === '0') || (kind !== undefined && place === undefined)) return undefined
  const prefix = kind === undefined ? '' : `blocks.${place}.`
  const convolution = kind === undefined ? 'conv_stem' : kind === 'depthwise' ? 'conv_dw' : 'conv_pw'
  if (part === 'weights' && kind !== 'depthwise') return { name: `${prefix}${convolution}.weight`, order: [3, 2, 0, 1] }
  if (part === 'depthwise_weights' && kind === 'depthwise') {
    return { name: `${prefix}${convolution}.weight`, order: [2, 3, 0, 1] }
  }
  const value = part.startsWith('BatchNorm/') ? normNames.get(part.slice('BatchNorm/'.length)) : undefined
  return value === undefined ? undefined : { name: `${prefix}${kind === 'pointwise' ? 'bn2' : 'bn1'}.${value}` }
}

function stageAndBlock(number: number): string | undefined {
  let before = 1
  for (const [stage, count] of blocksPerStage.entries()) {
    if (number >= before && number < before + count) return `${stage}.${number - before}`
    before += count
  }
  return undefined
}
