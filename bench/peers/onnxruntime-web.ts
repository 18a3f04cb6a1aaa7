// ONNX Runtime in WebAssembly:  onnxruntime-web.ts --threads N
import { parseArgs } from 'node:util'
import { env, InferenceSession, Tensor } from 'onnxruntime-web'
import { serve } from '../serve.ts'
import { onnxruntimeWork } from './onnxruntime.ts'

const { values } = parseArgs({ options: { threads: { type: 'string' } } })
env.wasm.numThreads = Number(values.threads)
const runtime = {
  Tensor,
  open: (model: Uint8Array) =>
    InferenceSession.create(model, { executionProviders: ['wasm'], graphOptimizationLevel: 'all' }),
}
await serve({ is: `onnxruntime-web ${env.versions.web}`, details: `Node ${process.versions.node}` }, (task) =>
  onnxruntimeWork(runtime, task),
)
