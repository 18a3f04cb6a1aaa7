// The verb `embed`: pictures to feature vectors in files. One row per input, always.
import * as path from 'node:path'
import { type InputImage, inputImages } from '../data/expand-inputs.ts'
import { loadBatches } from '../data/loader.ts'
import { RegraftError } from '../errors.ts'
import { writeFileAtomic } from '../files/atomic-write.ts'
import { createFolder, listFolder, pathFacts } from '../files/folder.ts'
import { writeJson } from '../files/strict-json.ts'
import { layerNamed } from '../graph/graph.ts'
import { loadModel } from '../model/load.ts'
import { graphOf, type Model } from '../model/model.ts'
import { channelsOf } from '../ops/op.ts'
import { csvText } from '../vectors/csv.ts'
import { npyWriter } from '../vectors/npy.ts'
import { version } from '../version.ts'
import type { EmbedOptions, EmbedResult, Inputs } from './options.ts'
import { INFERENCE_BATCH, openInference, openSession } from './session.ts'

const FILES = ['X.npy', 'index.csv', 'meta.json']

/**
 * Writes `X.npy` (f32[inputs, features]), `index.csv` (row, path, label, error) and `meta.json`. A picture that cannot be read keeps
 * its row, filled with NaN.
 * @throws RegraftError 'data' when there is no input or none can be read
 */
export async function embed(model: string, inputs: Inputs, options: EmbedOptions): Promise<EmbedResult> {
  const { engine, signal, listener, out } = options
  const { model: loaded, remarks } = await loadModel(model, options)
  for (const message of remarks) listener?.({ type: 'note', message })
  const trunk: Model = { ...loaded, head: { kind: 'none' }, labels: [] }
  const graph = graphOf(trunk)
  const features = channelsOf(layerNamed(graph, graph.features).shape)
  const images: InputImage[] = []
  for await (const image of inputImages(inputs, signal)) images.push(image)
  if (images.length === 0) throw new RegraftError('data', 'There are no pictures in the inputs.')
  await openFolder(out, options.overwrite ?? false)

  const readable = images.flatMap((image, position) =>
    image.error === undefined ? [{ path: image.path, file: image.file, position }] : [],
  )
  const reasons = new Map<number, string>()
  for (const [position, image] of images.entries()) if (image.error !== undefined) reasons.set(position, image.error)
  const session = await openSession(engine, trunk, graph)
  const runner = await openInference(
    engine,
    session,
    Math.min(options.batchSize ?? INFERENCE_BATCH, Math.max(1, readable.length)),
    [],
    signal,
  )
  const writer = npyWriter(path.join(out, 'X.npy'), { rows: images.length, columns: features })
  const missing = new Float32Array(features).fill(Number.NaN)
  let next = 0
  const fillUpTo = async (position: number): Promise<void> => {
    for (; next < position; next++) {
      listener?.({ type: 'bad', path: images[next]?.path ?? '', reason: reasons.get(next) ?? 'was not read' })
      await writer.append(missing)
    }
  }
  const startedAt = performance.now()
  listener?.({ type: 'phase', phase: 'embed', total: images.length, unit: 'images' })
  try {
    for await (const batch of loadBatches({
      samples: readable,
      preprocessing: loaded.preprocessing,
      batchSize: runner.images,
      signal,
      onError: options.onError,
      onBad: ({ index, reason }) => reasons.set(readable[index]?.position ?? -1, reason),
    })) {
      runner.writeBytes(batch.bytes)
      await runner.run(batch.count, { signal })
      const values = runner.read(graph.features, batch.count)
      for (const [row, index] of batch.indices.entries()) {
        const position = readable[index]?.position ?? 0
        await fillUpTo(position)
        await writer.append(values.subarray(row * features, (row + 1) * features))
        next = position + 1
      }
      listener?.({ type: 'progress', phase: 'embed', done: next, total: images.length })
    }
    await fillUpTo(images.length)
    if (reasons.size === images.length)
      throw new RegraftError(
        'data',
        `None of the ${images.length} inputs can be read; the first: ${images[0]?.path}: ${reasons.get(0)}.`,
      )
    await writer.finish()
  } catch (error) {
    await writer.abandon()
    throw error
  } finally {
    runner.close()
    session.close()
  }
  const seconds = (performance.now() - startedAt) / 1000
  const rows = images.map((image, row) =>
    [String(row), csvText(image.path), csvText(image.label ?? ''), csvText(reasons.get(row) ?? '')].join(','),
  )
  await writeFileAtomic(path.join(out, 'index.csv'), ['row,path,label,error', ...rows, ''].join('\n'))
  await writeJson(path.join(out, 'meta.json'), {
    format: 1,
    version,
    model: { name: model, architecture: loaded.architecture, sha256: loaded.origin.sha256 ?? null },
    layer: graph.features,
    rows: images.length,
    features,
    failed: reasons.size,
    preprocessing: loaded.preprocessing,
    kernels: { build: engine.build, digest: engine.digest },
  })
  listener?.({ type: 'phaseEnd', phase: 'embed' })
  listener?.({ type: 'saved', path: out })
  return { out, rows: images.length, features, failed: reasons.size, imagesPerSecond: images.length / seconds }
}

async function openFolder(out: string, overwrite: boolean): Promise<void> {
  const facts = await pathFacts(out)
  if (facts !== undefined && facts.kind !== 'folder')
    throw new RegraftError('usage', `--out ${out} is a file, not a folder.`, { file: out })
  const names = facts === undefined ? [] : (await listFolder(out)).map(({ name }) => name)
  const ours = names.every((name) => FILES.includes(name))
  if (names.length > 0 && !(overwrite && ours)) {
    throw new RegraftError(
      'usage',
      `--out ${out} is not empty. Choose another folder${ours ? ', or replace the vectors in it (--overwrite)' : ''}.`,
      { file: out },
    )
  }
  await createFolder(out)
}
