// Every reader of untrusted files, with the sound files that damage begins from.
import { join } from 'node:path'
import { parseStrictJson } from '../../src/files/strict-json.ts'
import { openCheckpoint, openNetwork } from '../../src/formats/index.ts'
import { readSavedModel } from '../../src/model/saved-model.ts'
import type { RandomStream } from '../../src/random.ts'
import type { Checkpoint } from '../../src/tensor/checkpoint.ts'
import { bytesPerElement } from '../../src/tensor/dtype.ts'
import { elementCount } from '../../src/tensor/shape.ts'
import { onnxFile } from '../formats/write-onnx.ts'
import { pickleOf, pytorchFile, TestTensor, type TestValue } from '../formats/write-pytorch.ts'
import { zipOf } from '../formats/write-zip.ts'
import { type MessageShape, mutateBytes, mutateMessage, mutateText } from './mutate.ts'

export interface Target {
  readonly name: string
  /** The file that is opened. */
  readonly file: string
  /** Files that are accepted. */
  readonly sound: ReadonlyMap<string, Uint8Array>
  /** A damaged set of files, by their paths. */
  damaged(random: RandomStream): ReadonlyMap<string, Uint8Array>
  /** Reads all of it. @throws RegraftError to refuse; anything else is a mistake of the reader */
  read(file: string, files: ReadonlyMap<string, Uint8Array>): Promise<void>
}

const folder = '/fuzz'
const at = (name: string) => join(folder, name)
const one = (name: string, bytes: Uint8Array) => new Map([[at(name), bytes]])
const either = (random: RandomStream, first: () => Uint8Array, second: () => Uint8Array) =>
  random.integer(3) === 0 ? first() : second()
const bytesOf = (...values: number[]) => new Uint8Array(Float32Array.from(values).buffer)

/** Far more than any damage to these small files can honestly give. */
const maxTensorBytes = 2 ** 27

async function readAll(checkpoint: Checkpoint): Promise<void> {
  for (const name of checkpoint.names()) {
    const expected = elementCount(checkpoint.shape(name)) * bytesPerElement(checkpoint.dtype(name))
    if (expected > maxTensorBytes) throw new Error(`a tensor of ${expected} bytes came out of a small file`)
    const bytes = await checkpoint.readBytes(name)
    if (bytes.length !== expected) throw new Error(`${bytes.length} bytes for a tensor of ${expected}`)
  }
}

const safetensorsHeader = JSON.stringify({
  __metadata__: { format: 'pt' },
  a: { dtype: 'F32', shape: [2, 2], data_offsets: [0, 16] },
  b: { dtype: 'I64', shape: [], data_offsets: [16, 24] },
  c: { dtype: 'BF16', shape: [3], data_offsets: [24, 30] },
})

function safetensorsOf(header: string): Uint8Array {
  const text = Buffer.from(header)
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.length))
  return Buffer.concat([length, text, Uint8Array.from({ length: 30 }, (_, index) => index)])
}

/** What is accepted has to be what a reader that takes JSON.parse and slices gives. */
async function sameAsPlainReader(checkpoint: Checkpoint, bytes: Uint8Array): Promise<void> {
  const buffer = Buffer.from(bytes)
  const data = 8 + Number(buffer.readBigUInt64LE(0))
  // A second reader: as lenient as may be, since it only sees what was accepted.
  const header = JSON.parse(buffer.toString('utf8', 8, data)) as Record<
    string,
    { shape: number[]; data_offsets: [number, number] }
  >
  const names = Object.keys(header).filter((name) => name !== '__metadata__')
  if (names.sort().join('\n') !== [...checkpoint.names()].sort().join('\n'))
    throw new Error('other names than a plain reader')
  for (const name of names) {
    const [begin, end] = header[name]?.data_offsets ?? [0, 0]
    const expected = buffer.subarray(data + begin, data + end)
    if (!expected.equals(await checkpoint.readBytes(name)))
      throw new Error(`other values of ${name} than a plain reader`)
  }
}

const weights = new Map<string, TestValue>([
  ['a', new TestTensor([2, 2], [1, 2, 3, 4])],
  ['b', new TestTensor([3], [5, 6, 7])],
])
const training = new Map<string, TestValue>([
  ['epoch', 3],
  ['state_dict', weights],
  ['history', [1, 2, null, true, 'text']],
])

function legacyOf({ bytes, storages }: ReturnType<typeof pickleOf>): Uint8Array {
  const integer = (value: bigint, length: number) => {
    const data = Buffer.alloc(length)
    for (let byte = 0; byte < length; byte++) data[byte] = Number((value >> BigInt(8 * byte)) & 0xffn)
    return data
  }
  const magic = Buffer.concat([Buffer.of(0x80, 2, 0x8a, 10), integer(0x1950a86a20f9469cfc6cn, 10), Buffer.from('.')])
  const version = Buffer.of(0x80, 2, 0x4d, 0xe9, 0x03, 0x2e)
  const system = pickleOf(new Map<string, TestValue>([['little_endian', true]])).bytes
  const keys = pickleOf(storages.map((_, key) => String(key))).bytes
  const values = storages.flatMap((storage) => [integer(BigInt(storage.length / 4), 8), storage])
  return Buffer.concat([magic, version, system, bytes, keys, ...values])
}

const npyText = "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }"

function npyOf(text: string): Uint8Array {
  const length = Buffer.alloc(2)
  length.writeUInt16LE(Buffer.byteLength(text))
  return Buffer.concat([
    Buffer.from('\u0093NUMPY\u0001\u0000', 'latin1'),
    length,
    Buffer.from(text),
    bytesOf(1, 2, 3, 4, 5, 6),
  ])
}

const npzFile = zipOf([
  { name: 'a.npy', bytes: npyOf(npyText), compressed: true },
  { name: 'b.npy', bytes: npyOf(npyText) },
])

const noValues: MessageShape = {}
const tensorShape: MessageShape = { 13: noValues }
const valueShape: MessageShape = { 2: { 1: { 2: { 1: noValues } } } }
const modelShape: MessageShape = {
  7: { 1: { 5: { 5: tensorShape } }, 5: tensorShape, 11: valueShape, 12: valueShape },
  8: noValues,
}
const soundModel = onnxFile({
  input: ['N', 3, 8, 8],
  nodes: [
    { op: 'Conv', inputs: ['x', 'w', 'b'], outputs: ['c'], attributes: { pads: [1, 1, 1, 1], strides: [2, 2] } },
    {
      op: 'BatchNormalization',
      inputs: ['c', 's', 's', 's', 's'],
      outputs: ['n'],
      attributes: { epsilon: { float: 1e-5 } },
    },
    { op: 'Relu', inputs: ['n'], outputs: ['r'] },
    { op: 'MaxPool', inputs: ['r'], outputs: ['m'], attributes: { kernel_shape: [2, 2] } },
    { op: 'Add', inputs: ['m', 'm'], outputs: ['a'] },
    { op: 'GlobalAveragePool', inputs: ['a'], outputs: ['g'] },
    { op: 'Reshape', inputs: ['g', 'shape'], outputs: ['f'] },
    { op: 'Gemm', inputs: ['f', 'fc'], outputs: ['l'], attributes: { transB: 1 } },
    { op: 'Softmax', inputs: ['l'], outputs: ['y'], attributes: { axis: 1 } },
  ],
  initialisers: {
    w: { shape: [4, 3, 3, 3], data: new Float32Array(108).fill(0.1) },
    b: { shape: [4], data: new Float32Array(4) },
    s: { shape: [4], data: new Float32Array(4).fill(1) },
    fc: { shape: [2, 4], data: new Float32Array(8).fill(0.5) },
    shape: { shape: [2], data: BigInt64Array.of(0n, -1n) },
  },
})

const tfjsModel = JSON.stringify({
  modelTopology: {
    class_name: 'Sequential',
    config: {
      name: 'net',
      layers: [
        {
          class_name: 'Conv2D',
          config: {
            name: 'c',
            filters: 2,
            kernel_size: [3, 3],
            padding: 'same',
            use_bias: false,
            activation: 'relu',
            batch_input_shape: [null, 8, 8, 3],
          },
        },
        { class_name: 'GlobalAveragePooling2D', config: { name: 'g' } },
        { class_name: 'Dense', config: { name: 'd', units: 2, activation: 'softmax' } },
      ],
    },
  },
  weightsManifest: [
    {
      paths: ['a.bin', 'b.bin'],
      weights: [
        {
          name: 'c/kernel',
          shape: [3, 3, 3, 2],
          dtype: 'float32',
          quantization: { dtype: 'uint8', scale: 0.1, min: -1 },
        },
        { name: 'd/kernel', shape: [2, 2], dtype: 'float32' },
        { name: 'd/bias', shape: [2], dtype: 'float32' },
      ],
    },
  ],
})

const savedModel = JSON.stringify({
  format: 1,
  preprocessing: {
    width: 8,
    height: 8,
    cropPct: 1,
    interpolation: 'bilinear',
    cropMode: 'center',
    mean: [0, 0, 0],
    std: [1, 1, 1],
  },
  output: 'softmax',
  head: { kind: 'linear' },
  labels: ['a', 'b'],
  graph: {
    layers: [
      {
        name: 'input',
        op: 'imageInput',
        inputs: [],
        stage: 'stem',
        attrs: { height: 8, width: 8, mean: [0, 0, 0], std: [1, 1, 1] },
      },
      {
        name: 'c',
        op: 'conv2d',
        inputs: ['input'],
        stage: 's',
        block: 'b',
        attrs: { outChannels: 4, kernel: [3, 3], stride: [2, 2], padding: [1, 1, 1, 1] },
      },
      {
        name: 'n',
        op: 'batchNorm',
        inputs: ['c'],
        stage: 's',
        attrs: { epsilon: 0.001, momentum: 0.1, activation: 'relu' },
      },
      { name: 'g', op: 'globalAveragePool', inputs: ['n'], stage: 's', attrs: {} },
      { name: 'fc', op: 'linear', inputs: ['g'], stage: 'head', attrs: { outFeatures: 2, bias: true } },
    ],
    output: 'fc',
    features: 'g',
    classifier: 'fc',
  },
  digests: {},
})

const readTensors = async (file: string) => readAll(await openCheckpoint(file))

async function readNetwork(file: string): Promise<void> {
  const network = await openNetwork(file, { mean: [0, 0, 0], std: [1, 1, 1], size: 32 })
  if (network !== undefined) await readAll(network.checkpoint)
}

/** By name; each has a file of the same name in front of its ending. */
export const targets: readonly Target[] = [
  {
    name: 'safetensors',
    file: at('model.safetensors'),
    sound: one('model.safetensors', safetensorsOf(safetensorsHeader)),
    damaged: (random) =>
      one(
        'model.safetensors',
        either(
          random,
          () => mutateBytes(safetensorsOf(safetensorsHeader), random),
          () => safetensorsOf(mutateText(safetensorsHeader, random)),
        ),
      ),
    async read(file, files) {
      const checkpoint = await openCheckpoint(file)
      await readAll(checkpoint)
      await sameAsPlainReader(checkpoint, files.get(file) ?? new Uint8Array())
    },
  },
  {
    name: 'pickle',
    file: at('model.pth'),
    sound: one('model.pth', pytorchFile(training)),
    damaged(random) {
      const { bytes, storages } = pickleOf(training)
      return one('model.pth', pytorchFile(null, { bytes: Buffer.from(mutateBytes(bytes, random)), storages }))
    },
    read: readTensors,
  },
  {
    name: 'zip',
    file: at('model.pth'),
    sound: one('model.pth', pytorchFile(training)),
    damaged: (random) => one('model.pth', mutateBytes(pytorchFile(training), random)),
    read: readTensors,
  },
  {
    name: 'pytorch-legacy',
    file: at('model.pth'),
    sound: one('model.pth', legacyOf(pickleOf(weights))),
    damaged: (random) => one('model.pth', mutateBytes(legacyOf(pickleOf(weights)), random)),
    read: readTensors,
  },
  {
    name: 'npy',
    file: at('array.npy'),
    sound: one('array.npy', npyOf(npyText)),
    damaged: (random) =>
      one(
        'array.npy',
        either(
          random,
          () => mutateBytes(npyOf(npyText), random),
          () => npyOf(mutateText(npyText, random)),
        ),
      ),
    read: readTensors,
  },
  {
    name: 'npz',
    file: at('arrays.npz'),
    sound: one('arrays.npz', npzFile),
    damaged: (random) => one('arrays.npz', mutateBytes(npzFile, random)),
    read: readTensors,
  },
  {
    name: 'onnx',
    file: at('model.onnx'),
    sound: one('model.onnx', soundModel),
    damaged: (random) =>
      one(
        'model.onnx',
        either(
          random,
          () => mutateBytes(soundModel, random),
          () => mutateMessage(soundModel, modelShape, random),
        ),
      ),
    async read(file) {
      await readTensors(file)
      await readNetwork(file)
    },
  },
  {
    name: 'tfjs',
    file: at('model.json'),
    sound: new Map([
      [at('model.json'), Buffer.from(tfjsModel)],
      [at('a.bin'), new Uint8Array(60)],
      [at('b.bin'), new Uint8Array(18)],
    ]),
    damaged(random) {
      const shard = (length: number) => new Uint8Array(length + (random.integer(20) === 0 ? 1 : 0))
      return new Map([
        [at('model.json'), Buffer.from(mutateText(tfjsModel, random))],
        [at('a.bin'), shard(60)],
        [at('b.bin'), shard(18)],
      ])
    },
    async read(file) {
      await readTensors(file)
      await readNetwork(file)
    },
  },
  {
    name: 'saved-model',
    file: at('regraft.json'),
    sound: one('regraft.json', Buffer.from(savedModel)),
    damaged: (random) => one('regraft.json', Buffer.from(mutateText(savedModel, random))),
    async read(file) {
      await readSavedModel(file)
    },
  },
  {
    name: 'json',
    file: at('any.json'),
    sound: one('any.json', Buffer.from(tfjsModel)),
    damaged: (random) =>
      one(
        'any.json',
        either(
          random,
          () => mutateBytes(Buffer.from(tfjsModel), random),
          () => Buffer.from(mutateText(tfjsModel, random)),
        ),
      ),
    async read(file, files) {
      const bytes = files.get(file) ?? new Uint8Array()
      const value = parseStrictJson(bytes, { file })
      if (JSON.stringify(value) !== JSON.stringify(JSON.parse(Buffer.from(bytes).toString('utf8')))) {
        throw new Error('another value than JSON.parse')
      }
    },
  },
]
