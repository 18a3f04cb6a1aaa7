// A model in the memory of an engine: parameters shared by whatever runs on them.
import { breathing } from '../breath.ts'
import type { Graph } from '../graph/graph.ts'
import type { Engine } from '../kernels/engine.ts'
import { graphOf, type Model } from '../model/model.ts'
import { createParameters, type Parameter, type ParameterStore } from '../runtime/parameters.ts'
import { createRunner, type Runner } from '../runtime/runner.ts'
import type { HostTensor } from '../tensor/host-tensor.ts'

export interface Session {
  readonly graph: Graph
  readonly store: ParameterStore
  close(): void
}

/** Puts tensors into their parameters; others are left alone. */
export async function loadTensors(store: ParameterStore, tensors: ReadonlyMap<string, HostTensor>): Promise<void> {
  const breath = breathing()
  for (const [name, tensor] of tensors) {
    if (store.has(name)) store.write(name, tensor)
    if (breath.due()) await breath.pause()
  }
}

/** All parameters in file layout. */
export async function readTensors(
  store: ParameterStore,
  names = store.parameters.map(({ name }) => name),
): Promise<Map<string, HostTensor>> {
  const breath = breathing()
  const tensors = new Map<string, HostTensor>()
  for (const name of names) {
    tensors.set(name, store.read(name))
    if (breath.due()) await breath.pause()
  }
  return tensors
}

/** Whether values hold neither NaN nor infinity. */
export async function allFinite(
  engine: Engine,
  values: readonly Pick<Parameter, 'address' | 'length'>[],
): Promise<boolean> {
  const breath = breathing()
  for (const { address, length } of values) {
    // A sum would overflow, and `every` takes its time over millions.
    for (const value of engine.floats(address, length)) if (!Number.isFinite(value)) return false
    if (breath.due()) await breath.pause()
  }
  return true
}

export async function openSession(engine: Engine, model: Model, graph: Graph = graphOf(model)): Promise<Session> {
  const store = createParameters(engine, graph)
  await loadTensors(store, model.tensors)
  return { graph, store, close: () => store.free() }
}

/** The batch for inference, unless the user says otherwise: large enough to keep the workers busy, small enough for any memory. */
export const INFERENCE_BATCH = 16

/** A prepared runner for pictures. */
export async function openInference(
  engine: Engine,
  session: Session,
  images: number,
  outputs: readonly string[] = [],
  signal?: AbortSignal,
): Promise<Runner> {
  const runner = createRunner(engine, session.graph, session.store, { images, input: 'bytes', outputs })
  try {
    await runner.prepare(signal)
  } catch (error) {
    runner.close()
    throw error
  }
  return runner
}
