import type { Engine } from '../../src/kernels/engine.ts'
import type { Model } from '../../src/model/model.ts'
import { openInference, openSession } from '../../src/transfer/session.ts'

/** Outputs (or another layer's values) of a model for RGB bytes. */
export async function outputsOf(
  engine: Engine,
  model: Model,
  bytes: Uint8Array,
  layer?: string,
): Promise<Float32Array> {
  const { height, width } = model.preprocessing
  const count = bytes.length / (height * width * 3)
  const session = await openSession(engine, model)
  const runner = await openInference(engine, session, count, layer === undefined ? [] : [layer])
  try {
    runner.writeBytes(bytes)
    await runner.run(count)
    return runner.read(layer ?? session.graph.output, count)
  } finally {
    runner.close()
    session.close()
  }
}
