// `best/` of a run: written aside, then put in place, so that there is always a whole one.
import * as path from 'node:path'
import { removeFolder } from '../files/folder.ts'
import { replaceFolder } from '../files/replace-folder.ts'
import type { Engine } from '../kernels/engine.ts'
import { saveLoneHead } from '../model/lone-head.ts'
import type { Model } from '../model/model.ts'
import { saveModel } from '../model/save.ts'
import type { Backbone } from '../model/saved-model.ts'
import { checkFinite } from './finite-weights.ts'
import { goldenPictures, outputsOf } from './golden.ts'

const GOLDEN_PICTURES = 2

/** @param extras  `golden`: an engine to compute golden outputs with; `backbone`: the network is elsewhere, and the head is saved alone */
export async function saveBest(
  out: string,
  model: Model,
  extras: { training: unknown; golden?: Engine; backbone?: Backbone; signal?: AbortSignal | undefined },
): Promise<void> {
  await checkFinite(model.tensors, 'The weights that were trained')
  const fresh = path.join(out, 'best.new')
  await removeFolder(fresh)
  if (extras.backbone) {
    await saveLoneHead({ ...model, backbone: extras.backbone }, fresh, extras.training)
    await replaceFolder(fresh, path.join(out, 'best'))
    return
  }
  const golden = extras.golden ? await goldenOf(extras.golden, model, extras.signal) : undefined
  await saveModel(model, fresh, { training: extras.training, ...(golden ? { golden } : {}) })
  await replaceFolder(fresh, path.join(out, 'best'))
}

async function goldenOf(engine: Engine, model: Model, signal: AbortSignal | undefined) {
  const { height, width } = model.preprocessing
  const pictures = goldenPictures(GOLDEN_PICTURES, height, width)
  const data = await outputsOf(engine, model, pictures, GOLDEN_PICTURES, signal)
  return {
    pictures,
    count: GOLDEN_PICTURES,
    outputs: { shape: [GOLDEN_PICTURES, data.length / GOLDEN_PICTURES], data },
    kernels: engine.build,
  }
}
