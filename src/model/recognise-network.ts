// Which network a weight file without a configuration belongs to, by the names and shapes of its tensors.
import type { Architecture } from '../architectures/architecture.ts'
import { architectureNamed, knownArchitectures, recognisedArchitectures } from '../architectures/index.ts'
import type { Preprocessing } from '../data/preprocessing.ts'
import { RegraftError } from '../errors.ts'
import { renameTensors } from '../formats/rename.ts'
import { layerNamed, parameterName, parametersOf } from '../graph/graph.ts'
import { inertName } from '../inert-text.ts'
import type { Checkpoint } from '../tensor/checkpoint.ts'
import type { Shape } from '../tensor/shape.ts'
import { counterNames, sameValues } from './fit-weights.ts'
import type { TimmConfig } from './timm-config.ts'

/** What networks are trained with when nothing else is said: timm's and torchvision's defaults. */
export const usualPreprocessing: Preprocessing = {
  width: 224,
  height: 224,
  cropPct: 0.875,
  interpolation: 'bilinear',
  cropMode: 'center',
  mean: [0.485, 0.456, 0.406],
  std: [0.229, 0.224, 0.225],
}

/** What a family of files has in common, that weights do not tell. */
export interface Conventions {
  /** timm's model_args. */
  readonly args: Readonly<Record<string, unknown>>
  readonly preprocessing: Preprocessing
  /** The same in words. */
  readonly words: string
}

export const pytorchConventions: Conventions = {
  args: {},
  preprocessing: usualPreprocessing,
  words: 'mean and std of ImageNet, padding and batch norm as in PyTorch',
}

export const tensorflowConventions: Conventions = {
  args: { pad_type: 'same', bn_eps: 1e-3 },
  preprocessing: { ...usualPreprocessing, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
  words: 'values from -1 to 1, padding and batch norm as in TensorFlow',
}

export interface RecognisedNetwork {
  readonly config: TimmConfig
  /** What was recognised and what was assumed, in sentences for people. */
  readonly remark: string
}

/**
 * The architecture all of whose weights, the classifier's aside, are in the file with the right shapes, and that leaves
 * none over. The classifier tells the number of classes.
 * @param own  architectures that are tried before those that are known
 * @throws RegraftError 'weights' when no architecture fits
 */
export function recogniseNetwork(
  checkpoint: Checkpoint,
  conventions: Conventions,
  own: readonly Architecture[] = [],
): RecognisedNetwork {
  const { source } = checkpoint
  const { preprocessing, words } = conventions
  for (const architecture of [...own, ...recognisedArchitectures.map(architectureNamed)]) {
    const fits = classesIfFits(architecture, checkpoint)
    if (fits === undefined) continue
    const { classes, foreign } = fits
    const args = foreign ? { ...conventions.args, ...architecture.torchvision?.args } : conventions.args
    const head = classes === 0 ? 'without a classifier' : `with ${classes} classes`
    const remark =
      `${inertName(source)}: there is no config.json beside it. By names and shapes it is ${architecture.name} ${head}. ` +
      `Assumed: pictures of 224 pixels, crop_pct 0.875, bilinear, ${words}. ` +
      'If it was trained otherwise, put a timm config.json beside it.'
    const config: TimmConfig = {
      architecture: architecture.name,
      args,
      classes,
      labels: undefined,
      preprocessing,
      labelOffset: 0,
      tag: undefined,
      license: undefined,
    }
    return { config, remark }
  }
  throw new RegraftError(
    'weights',
    `${inertName(source)}: there is no config.json beside it, and names and shapes of its ${checkpoint.names().length} tensors are those of no network that is known: ${knownArchitectures.join(', ')}.`,
    { file: source },
  )
}

/** Positions may be those of another size of pictures. */
function fits(found: Shape, expected: Shape, arePositions: boolean): boolean {
  const resampled = arePositions && found.length === 3 && found[0] === 1 && found[2] === expected[2]
  return resampled || sameValues(found, expected)
}

interface Fit {
  /** 0 without a classifier. */
  readonly classes: number
  /** Whether the names were torchvision's. */
  readonly foreign: boolean
}

/** How this architecture's weights are in the file; undefined when they do not fit. */
function classesIfFits(architecture: Architecture, checkpoint: Checkpoint): Fit | undefined {
  const tensors = renameTensors(checkpoint, architecture.torchvision?.names ?? new Map())
  const left = new Set(tensors.names())
  // The others need not even be built.
  if (!left.has(`${architecture.firstConvolution}.weight`)) return undefined
  const { height, width, mean, std } = usualPreprocessing
  const graph = architecture.build({ classes: 1, height, width, mean, std })
  for (const layer of graph.layers) {
    if (layer.name === architecture.classifier) continue
    for (const spec of parametersOf(layer)) {
      const parameter = parameterName(layer, spec)
      if (!left.delete(parameter) || !fits(tensors.shape(parameter), spec.shape, layer.op === 'positions'))
        return undefined
    }
  }
  for (const counter of counterNames(graph)) left.delete(counter)
  const classifier = layerNamed(graph, architecture.classifier)
  let classes = 0
  for (const spec of parametersOf(classifier)) {
    const parameter = parameterName(classifier, spec)
    if (!left.delete(parameter)) continue
    const [outputs = 0, ...inputs] = tensors.shape(parameter)
    if (!sameValues([1, ...inputs], [1, ...spec.shape.slice(1)]) || (classes > 0 && classes !== outputs))
      return undefined
    classes = outputs
  }
  if (left.size > 0) return undefined
  const stored = new Set(checkpoint.names())
  return { classes, foreign: !stored.has(`${architecture.firstConvolution}.weight`) }
}
