// Our readers for the runner of the corpus: node runner.mjs --corpus DIR --adapter test/hostile/adapter.mjs
import { register } from 'tsx/esm/api'

register()
const { openCheckpoint } = await import('../../src/formats/index.ts')
const { createEngine } = await import('../../src/kernels/engine.ts')
const { importOnnx, onnxInput, runOnnx } = await import('../formats/run-onnx.ts')
const { readConfig } = await import('./read-config.ts')

const weightKinds = new Set(['safetensors', 'safetensors-index', 'pth', 'npy', 'npz', 'tfjs'])

/** @param {string} kind @param {string} file @param {{ inputs?: Record<string, { shape: number[], data: number[] }> }} testCase */
export async function load(kind, file, testCase) {
  if (kind === 'onnx') return runModel(file, testCase.inputs)
  if (weightKinds.has(kind)) return readTensors(file)
  if (kind === 'config') return readConfig(file)
  throw Object.assign(new Error(`${kind} is not read`), { skip: true })
}

/** @param {string} file */
async function readTensors(file) {
  const checkpoint = await openCheckpoint(file)
  const tensors = new Map()
  for (const name of checkpoint.names()) {
    const bytes = await checkpoint.readBytes(name)
    tensors.set(name, { dtype: checkpoint.dtype(name), shape: checkpoint.shape(name), bytes })
  }
  return { tensors }
}

/** @param {string} file @param {Record<string, { shape: number[], data: number[] }> | undefined} inputs */
async function runModel(file, inputs) {
  const network = await importOnnx(file, onnxInput)
  const engine = createEngine({ threads: 1, simd: 'baseline' })
  try {
    return { outputs: await runOnnx(engine, network, inputs?.[network.input.name]) }
  } finally {
    await engine.close()
  }
}
