// What both packages of ONNX Runtime have in common.
import type { InferenceSession, Tensor, TensorConstructor } from 'onnxruntime-web'
import type { Task } from '../protocol.ts'
import { readFloats, type Work } from '../serve.ts'
import { normalisedPictures, readNetwork } from './network-files.ts'
import { onnxMatmul, onnxNetwork } from './onnx-model.ts'

export interface Runtime {
  readonly Tensor: TensorConstructor
  open(model: Uint8Array): Promise<InferenceSession>
}

export async function onnxruntimeWork(runtime: Runtime, task: Task): Promise<Work> {
  if (task.kind === 'matmul') {
    const { m, k, n, a, b } = task
    const session = await runtime.open(onnxMatmul(m, k, n, readFloats(b)))
    return sessionWork(session, new runtime.Tensor('float32', readFloats(a), [m, k]))
  }
  if (task.kind === 'forward') {
    const { graph, tensors } = await readNetwork(task)
    const session = await runtime.open(onnxNetwork(graph, tensors, task.images))
    const shape = [task.images, 3, task.size, task.size]
    return sessionWork(session, new runtime.Tensor('float32', normalisedPictures(task, 'NCHW'), shape))
  }
  throw new Error(`ONNX Runtime has no task '${task.kind}'`)
}

function sessionWork(session: InferenceSession, input: Tensor): Work {
  const run = () => session.run({ input })
  return {
    async run() {
      await run()
      return 1
    },
    async check() {
      const { output } = await run()
      if (!(output?.data instanceof Float32Array)) throw new Error('the session gave no floats')
      return { arrays: { output: output.data } }
    },
    close: () => session.release(),
  }
}
