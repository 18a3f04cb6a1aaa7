// The command line of the training from scratch; README.md beside it tells the whole way.
import { parseArgs } from 'node:util'
import { RegraftError } from '../../src/errors.ts'
import { createEngine, type Engine, type EngineOptions } from '../../src/kernels/engine.ts'
import { loadModel } from '../../src/model/load.ts'
import { secondsOf } from '../../src/transfer/time-span.ts'
import { drawCurve } from './curve.ts'
import { openPacked, pack } from './packed.ts'
import { pretrain } from './pretrain.ts'
import { probe } from './probe.ts'
import { ARCHITECTURE, PACKED_SIZE, recipe } from './recipe.ts'
import { release, validate } from './release.ts'
import { listPictures } from './tiny-imagenet.ts'

/** Steps between two lines. */
const REPORT_STEPS = 100

const usage = `pack FOLDER FILE    decodes tiny-imagenet-200 into one file
train FILE RUN      trains; a run that was stopped goes on
  --time 2h         stops and saves after so long
  --steps 200       stops and saves after so many steps
  --from MODEL --stage 2    begins with a stage and the weights of a model
test FILE MODEL     top-1 and top-5 on the packed validation pictures
  --size 64         pixels of a side
curve RUN FILE      draws how it went, as SVG
release MODEL OUT   writes the model in half precision, as it comes with the package
  --size 96         pixels of a side in use
probe MODEL PHOTOS  heads on its features, against the untrained network and colours
  --size 96         pixels of a side
  --seeds 3         so many times
  --train-list FILE --val FILE    as for regraft train
  --finetune        also fine-tunes, by --unfreeze, --epochs and --lr
all of them take --threads 2 and --simd 256`

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    time: { type: 'string' },
    steps: { type: 'string' },
    from: { type: 'string' },
    stage: { type: 'string', default: '2' },
    threads: { type: 'string' },
    simd: { type: 'string', default: '256' },
    size: { type: 'string', default: '64' },
    seeds: { type: 'string', default: '3' },
    'train-list': { type: 'string' },
    val: { type: 'string' },
    finetune: { type: 'boolean', default: false },
    unfreeze: { type: 'string', default: 'all' },
    epochs: { type: 'string', default: '10' },
    lr: { type: 'string', default: '1e-3' },
  },
})

async function main(): Promise<void> {
  const [command, first, second] = positionals
  if (first === undefined || second === undefined) throw new RegraftError('usage', usage)
  if (command === 'pack') await pack(first, await listPictures(first), PACKED_SIZE, second)
  else if (command === 'train') await withEngine((engine) => trainPieces(engine, first, second))
  else if (command === 'test')
    await withEngine(async (engine) => {
      const { accuracy, topAccuracy, loss } = await validate(
        engine,
        await openPacked(first),
        second,
        Number(values.size),
      )
      console.log(`top-1 ${accuracy.toFixed(4)}, top-5 ${topAccuracy.toFixed(4)}, loss ${loss.toFixed(4)}`)
    })
  else if (command === 'release')
    await withEngine((engine) =>
      release(engine, { best: first, folder: second, size: Number(values.size), recipe, architecture: ARCHITECTURE }),
    )
  else if (command === 'curve') await drawCurve(first, second)
  else if (command === 'probe') await withEngine((engine) => probeSeeds(engine, first, second))
  else throw new RegraftError('usage', usage)
}

async function probeSeeds(engine: Engine, model: string, data: string): Promise<void> {
  const { unfreeze, epochs, lr } = values
  for (let seed = 0; seed < Number(values.seeds); seed++) {
    const found = await probe({
      engine,
      model,
      data,
      trainList: values['train-list'],
      val: values.val,
      size: Number(values.size),
      seed,
      ...(values.finetune && { finetune: { unfreeze, epochs: Number(epochs), lr: Number(lr) } }),
    })
    const figures = Object.entries(found).map(([name, value]) => `${name} ${value.toFixed(4)}`)
    console.log(`seed ${seed}: ${figures.join(', ')}`)
  }
}

async function withEngine(work: (engine: Engine) => Promise<void>): Promise<void> {
  const engine = createEngine({
    allowV8Flags: true,
    simd: simdOf(values.simd),
    ...(values.threads === undefined ? {} : { threads: Number(values.threads) }),
  })
  try {
    await work(engine)
  } finally {
    await engine.close()
  }
}

async function trainPieces(engine: Engine, file: string, out: string): Promise<void> {
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => stop.abort(new RegraftError('interrupted', `Stopped by ${signal}.`, { signal })))
  console.log(`${engine.build} kernels, ${engine.vectorBits} bits, ${engine.threads} threads`)
  let steps = 0
  let since = performance.now()
  await pretrain({
    engine,
    data: await openPacked(file),
    recipe,
    start:
      values.from === undefined
        ? undefined
        : { stage: Number(values.stage), model: (await loadModel(values.from)).model },
    out,
    time: timeOf(values.time),
    steps: values.steps === undefined ? undefined : Number(values.steps),
    signal: stop.signal,
    listener(event) {
      if (event.type === 'note') console.log(event.message)
      if (event.type === 'epoch') {
        const { type: _, ...record } = event
        console.log(JSON.stringify(record))
      }
      if (event.type !== 'step' || ++steps % REPORT_STEPS !== 0) return
      const seconds = (performance.now() - since) / 1000
      since = performance.now()
      const speed = (REPORT_STEPS * (recipe.training.batchSize ?? 1)) / seconds
      console.log(
        `epoch ${event.epoch} step ${event.step} loss ${event.loss.toFixed(4)} ${speed.toFixed(0)} pictures/s`,
      )
    },
  })
}

function timeOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const seconds = secondsOf(text)
  if (seconds === undefined) throw new RegraftError('usage', `--time ${text}: a time such as 90s, 20m or 1.5h.`)
  return seconds
}

function simdOf(text: string): NonNullable<EngineOptions['simd']> {
  if (text === 'auto' || text === 'baseline' || text === 'relaxed' || text === '256') return text
  throw new RegraftError('usage', `--simd ${text}: one of auto, baseline, relaxed, 256.`)
}

main().catch((error) => {
  if (!(error instanceof RegraftError)) throw error
  console.error(error.message)
  process.exitCode = error.exitCode
})
