import { inertName } from '../../inert-text.ts'
import { usualActivation } from '../../model/hidden-activation.ts'
import { lossNames } from '../../runtime/loss.ts'
import type { CheckedTensor } from '../../transfer/check-gradients.ts'
import { type GradcheckResult, gradcheckDefaults } from '../../transfer/gradcheck.ts'
import { defineCommand } from '../command.ts'
import { jsonText, significant } from '../format.ts'
import { json, preprocessing } from '../shared-settings.ts'
import { textTable } from '../table.ts'
import { choice, number, onOff, text, wholeNumber } from '../values.ts'

const { imgSize, ...framing } = preprocessing

/** `gradcheck MODEL DATA`: whether the gradients are those of the loss. */
export const gradcheck = defineCommand({
  name: 'gradcheck',
  summary: 'check the gradients of a network against centred differences in float64',
  description:
    'Runs the network once with the kernels, forward and backward, and many times in plain float64, with one value of a parameter ' +
    'moved up and down. Coordinates at which a value crosses a kink between the two (ReLU, max pooling ...) are counted and left ' +
    'out. Per parameter the relative error and a verdict: wrong above 1e-2, suspicious above 1e-4, excellent under 1e-7. The limits grow with ' +
    'depth beyond 25 layers. Regularisation is checked apart from the loss of the data. Nothing is augmented, mixed, or left out at random.\n' +
    'With batch statistics few pictures make float32 drift; the drift from the reference (its own backward pass) is printed, and what ' +
    'storing in float32 does to the reference; an error under three times the drift passes if that is not more than rounding does.\n' +
    'Exits with 0 when no parameter is suspicious or wrong, else with 1.',
  arguments: [
    { name: 'model', help: 'as --model of train; the default model when left out', optional: true },
    { name: 'data', help: 'an image folder; drawn pictures when left out', optional: true },
  ],
  examples: [
    'regraft gradcheck',
    'regraft gradcheck runs/flowers-1 flowers --unfreeze last:2',
    'regraft gradcheck resnet18 --no-pretrained --bn train --burn-in 5',
  ],
  settings: {
    json,
    pictures: wholeNumber(
      { from: 1, to: 64 },
      {
        group: 'Data',
        help: 'how many; two or three are enough, and more have more kinks',
        fallback: String(gradcheckDefaults.pictures),
      },
    ),
    seed: wholeNumber(
      { from: 0, to: Number.MAX_SAFE_INTEGER },
      { group: 'Data', help: 'of all that is random', fallback: String(gradcheckDefaults.seed) },
    ),
    pretrained: onOff({ group: 'Model', help: 'check with random weights', shownNegated: true }),
    head: text('<head>', {
      group: 'Model',
      help: 'a new head: linear, mlp:WIDTHxDEPTH, maxout:WIDTHxK',
      fallback: "the model's, else linear",
    }),
    activation: text('<name>', { group: 'Model', help: 'of the hidden layers of an mlp', fallback: usualActivation }),
    unfreeze: text('<layers>', {
      group: 'Model',
      help: 'layers to check: last:N, stage:NAME+, all, or a pattern',
      fallback: gradcheckDefaults.unfreeze,
    }),
    freeze: text('<pattern>', { group: 'Model', help: 'layers to leave out, of these' }),
    bn: choice(['frozen', 'train-unfrozen', 'train'], {
      group: 'Model',
      help: 'where batch norm uses the statistics of the batch',
      fallback: gradcheckDefaults.bn,
    }),
    bnAffine: choice(['train', 'frozen'], {
      group: 'Model',
      help: 'whether scale and shift of batch norm are checked',
      fallback: gradcheckDefaults.bnAffine,
    }),
    loss: choice(lossNames, {
      group: 'Training',
      help: 'loss of the data',
      fallback: gradcheckDefaults.loss,
    }),
    smoothing: number(
      { from: 0, to: 1, below: true },
      { group: 'Training', help: 'label smoothing', fallback: String(gradcheckDefaults.smoothing) },
    ),
    l2: number(
      { from: 0 },
      {
        group: 'Training',
        help: 'strength of the squared weights, L/2n of their sum; 0 leaves them out',
        fallback: String(gradcheckDefaults.l2),
      },
    ),
    l1: number(
      { from: 0 },
      {
        group: 'Training',
        help: 'strength of the absolute weights, L/n of their sum; 0 leaves them out',
        fallback: String(gradcheckDefaults.l1),
      },
    ),
    coordinates: wholeNumber(
      { from: 1, to: 10_000 },
      {
        group: 'Training',
        help: 'how many of each parameter, biases too',
        fallback: String(gradcheckDefaults.coordinates),
      },
    ),
    step: number(
      { from: 1e-7, to: 1e-2 },
      {
        group: 'Training',
        help: 'h of [f(x + h) - f(x - h)]/2h; from 1e-6 to 1e-4 is sensible, since smaller ones lose digits',
        fallback: String(gradcheckDefaults.step),
      },
    ),
    burnIn: wholeNumber(
      { from: 0, to: 100_000 },
      {
        group: 'Training',
        help: 'steps of training on these pictures before the check',
        fallback: String(gradcheckDefaults.burnIn),
      },
    ),
    lr: number(
      { from: 0, above: true },
      { group: 'Training', help: 'rate of these steps', fallback: String(gradcheckDefaults.lr) },
    ),
    imgSize: { ...imgSize, fallback: `the model's, at most ${gradcheckDefaults.mostImgSize}` },
    ...framing,
  },

  async run({ json, ...options }, [model, data], work) {
    const result = await work.verbs.gradcheck({ ...options, model, data, ...work.options() })
    await work.output.write(json ? `${jsonText(documentOf(result), 2)}\n` : words(result))
    return result.good ? 0 : 1
  },
})

function documentOf(result: GradcheckResult): unknown {
  const tensor = ({ leftOut, ...rest }: CheckedTensor) => ({ ...rest, left_out: leftOut })
  const { architecture, images, imgSize, bn, loss, step, burnIn, dataLoss, penalty, tried, leftOut, apart, nudged } =
    result
  return {
    good: result.good,
    architecture,
    images,
    img_size: imgSize,
    bn,
    loss,
    step,
    burn_in: burnIn,
    data_loss: dataLoss,
    tried,
    left_out: leftOut,
    values_apart: apart,
    nudged,
    tensors: result.tensors.map(tensor),
    penalty: penalty && {
      kernels: penalty.kernels,
      reference: penalty.reference,
      tensors: penalty.tensors.map(tensor),
    },
  }
}

function words(result: GradcheckResult): string {
  const { architecture, images, imgSize, bn, loss, step, dataLoss, tensors, penalty, tried, leftOut, apart, nudged } =
    result
  const both = ({ kernels, reference }: { kernels: number; reference: number }) =>
    `${significant(kernels, 8)}, reference ${significant(reference, 8)}`
  const lines = [
    `${inertName(architecture)}, ${images} pictures of ${imgSize}x${imgSize}, loss ${loss}, batch norm ${bn}, h = ${step}`,
    `loss of the data: ${both(dataLoss)}`,
    '',
    table(tensors).trimEnd(),
    '',
    `${tried} coordinates tried, ${leftOut} left out: they crossed a kink`,
  ]
  if (nudged > 0)
    lines.push(`pictures moved by some grey levels, so that no value stands too near a kink (${nudged} times)`)
  if (apart > 0)
    lines.push(`${apart} values stand on the other side of a kink in float32 than in float64: errors may be theirs`)
  if (penalty) lines.push('', `regularisation: ${both(penalty)}`, '', table(penalty.tensors).trimEnd())
  const bad = [...tensors, ...(penalty?.tensors ?? [])].filter(
    ({ verdict }) => verdict === 'wrong' || verdict === 'suspicious',
  )
  const open = tensors.filter(({ verdict }) => verdict === 'not judged').length
  if (open > 0)
    lines.push(
      '',
      `${open} parameters could not be judged: --burn-in 5 moves values off the kinks at which a fresh network has them.`,
    )
  lines.push('', conclusion(result.good, bad.length))
  return `${lines.join('\n')}\n`
}

function conclusion(good: boolean, bad: number): string {
  if (good) return 'The gradients are those of the loss.'
  return bad > 0 ? `${bad} parameters are suspicious or wrong.` : 'The two losses differ by more than rounding.'
}

function table(tensors: readonly CheckedTensor[]): string {
  const drifts = tensors.some(({ rounding }) => rounding !== null)
  const figure = (value: number | null) => (value === null ? '-' : value.toExponential(1))
  const rows = tensors.map(({ name, shape, depth, tried, leftOut, error, drift, rounding, verdict }) => [
    inertName(name, 100),
    shape.join('x'),
    String(depth),
    String(tried),
    String(leftOut),
    figure(error),
    ...(drifts ? [figure(drift), figure(rounding)] : []),
    verdict,
  ])
  const titles = [
    'parameter',
    'shape',
    'depth',
    'tried',
    'left out',
    'error',
    ...(drifts ? ['drift', 'float32'] : []),
    'verdict',
  ]
  return textTable([titles, ...rows], [2, 3, 4, 5, ...(drifts ? [6, 7] : [])])
}
