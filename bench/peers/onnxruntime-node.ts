// ONNX Runtime as native code:  onnxruntime-node.ts --threads N
import { parseArgs } from 'node:util'
import { env, InferenceSession, Tensor } from 'onnxruntime-node'
import { serve } from '../serve.ts'
import { onnxruntimeWork } from './onnxruntime.ts'

const { values } = parseArgs({ options: { threads: { type: 'string' } } })
const options = { intraOpNumThreads: Number(values.threads), interOpNumThreads: 1 }
const runtime = {
  Tensor,
  open: (model: Uint8Array) => InferenceSession.create(model, { ...options, graphOptimizationLevel: 'all' }),
}
await serve({ is: `onnxruntime-node ${env.versions.node}`, details: `Node ${process.versions.node}, native` }, (task) =>
  onnxruntimeWork(runtime, task),
)
