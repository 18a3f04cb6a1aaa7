// Which network a weight file without a configuration belongs to, by the names and shapes of its tensors.
import { architectureNamed, knownArchitectures } from '../architectures/index.ts'
import type { Preprocessing } from '../data/preprocessing.ts'
import { RegraftError } from '../errors.ts'
import { renameTensors } from '../formats/rename.ts'
import { layerNamed, parameterName, parametersOf } from '../graph/graph.ts'
import { inertName } from '../inert-text.ts'
import type { Checkpoint } from '../tensor/checkpoint.ts'
import { shapesEqual } from '../tensor/shape.ts'
import { counterNames } from './fit-weights.ts'
import { familyOf } from './model.ts'
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

/** Beside the names that are suggested, the mobile networks come in any width. */
const otherWidths = ['mobilenetv1', 'mobilenetv2'].flatMap((family) =>
  Array.from({ length: 40 }, (_, step) => `${family}_${String((step + 1) * 5).padStart(3, '0')}`),
)

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
 * @throws RegraftError 'weights' when no architecture fits
 */
export function recogniseNetwork(checkpoint: Checkpoint, conventions: Conventions): RecognisedNetwork {
  const { source } = checkpoint
  const { args, preprocessing, words } = conventions
  for (const architecture of new Set([...knownArchitectures, ...otherWidths])) {
    const classes = classesIfFits(architecture, checkpoint)
    if (classes === undefined) continue
    const head = classes === 0 ? 'without a classifier' : `with ${classes} classes`
    const remark =
      `${inertName(source)}: there is no config.json beside it. By names and shapes it is ${architecture} ${head}. ` +
      `Assumed: pictures of 224 pixels, crop_pct 0.875, bilinear, ${words}. ` +
      'If it was trained otherwise, put a timm config.json beside it.'
    const config: TimmConfig = {
      architecture,
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

/** The number of classes of this architecture's weights in the file, 0 without a classifier; undefined when they do not fit. */
function classesIfFits(name: string, checkpoint: Checkpoint): number | undefined {
  const architecture = architectureNamed(name)
  const { height, width, mean, std } = usualPreprocessing
  const graph = architecture.build({ classes: 1, height, width, mean, std })
  const tensors = renameTensors(checkpoint, familyOf(name))
  const left = new Set(tensors.names())
  for (const layer of graph.layers) {
    if (layer.name === architecture.classifier) continue
    for (const spec of parametersOf(layer)) {
      const parameter = parameterName(layer, spec)
      if (!left.delete(parameter) || !shapesEqual(tensors.shape(parameter), spec.shape)) return undefined
    }
  }
  for (const counter of counterNames(graph)) left.delete(counter)
  const classifier = layerNamed(graph, architecture.classifier)
  let classes = 0
  for (const spec of parametersOf(classifier)) {
    const parameter = parameterName(classifier, spec)
    if (!left.delete(parameter)) continue
    const [outputs = 0, ...inputs] = tensors.shape(parameter)
    if (!shapesEqual(inputs, spec.shape.slice(1)) || (classes > 0 && classes !== outputs)) return undefined
    classes = outputs
  }
  return left.size === 0 ? classes : undefined
}
