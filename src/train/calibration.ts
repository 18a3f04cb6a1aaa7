// Whether a classifier is right as often as it says.
import { breathing } from '../breath.ts'
import { exp } from '../exact-math.ts'
import { argmax, type LabelledOutputs, outputScores } from './classification.ts'
import { labelLoss, sigmoid } from './label-loss.ts'

/** Outputs that are read as probabilities. */
type Probabilities = 'softmax' | 'sigmoid'

/** Pictures whose highest probability lies between `from` and `to`. */
export interface CalibrationBin {
  readonly from: number
  readonly to: number
  readonly images: number
  /** Mean of the highest probabilities, and share of pictures that are right; null without a picture. */
  readonly confidence: number | null
  readonly accuracy: number | null
}

export interface Calibration {
  /** Expected calibration error (Guo et al. 2017): mean distance of confidence and accuracy, over 15 bins. */
  readonly error: number
  readonly bins: readonly CalibrationBin[]
  /** By which to divide the logits so that their cross-entropy on these pictures is least. */
  readonly temperature: number
  /** Cross-entropy and calibration error with it. Fitted to the same pictures, they flatter a little. */
  readonly lossAfter: number
  readonly errorAfter: number
}

const BINS = 15
const MOST_TEMPERATURE = 20
const ITERATIONS = 50

/** @param classes  outputs of a picture */
export async function calibrationOf(
  { logits, labels }: LabelledOutputs,
  classes: number,
  kind: Probabilities = 'softmax',
): Promise<Calibration> {
  const inverse = await inverseTemperature(logits, labels, classes, kind)
  const scaled = logits.map((logit) => logit * inverse)
  const bins = binsOf(logits, labels, classes, kind)
  const crossEntropy = { kind: kind === 'softmax' ? 'ce' : 'bce' } as const
  let lossAfter = 0
  for (const [row, label] of labels.entries())
    lossAfter += labelLoss(crossEntropy, scaled.subarray(row * classes, (row + 1) * classes), label)
  return {
    error: errorOf(bins, labels.length),
    bins,
    temperature: 1 / inverse,
    lossAfter: lossAfter / labels.length,
    errorAfter: errorOf(binsOf(scaled, labels, classes, kind), labels.length),
  }
}

function binsOf(
  logits: Float32Array,
  labels: Int32Array,
  classes: number,
  kind: Probabilities,
): readonly CalibrationBin[] {
  const sums = Array.from({ length: BINS }, () => ({ images: 0, confidence: 0, right: 0 }))
  for (const [row, label] of labels.entries()) {
    const probabilities = outputScores(logits.subarray(row * classes, (row + 1) * classes), kind)
    const guess = argmax(logits.subarray(row * classes, (row + 1) * classes))
    const confidence = probabilities[guess] ?? 0
    const bin = sums[Math.min(BINS - 1, Math.floor(confidence * BINS))]
    if (!bin) continue
    bin.images++
    bin.confidence += confidence
    bin.right += guess === label ? 1 : 0
  }
  return sums.map(({ images, confidence, right }, index) => ({
    from: index / BINS,
    to: (index + 1) / BINS,
    images,
    confidence: images > 0 ? confidence / images : null,
    accuracy: images > 0 ? right / images : null,
  }))
}

function errorOf(bins: readonly CalibrationBin[], images: number): number {
  const sum = bins.reduce((total, bin) => total + bin.images * Math.abs((bin.confidence ?? 0) - (bin.accuracy ?? 0)), 0)
  return sum / images
}

/** The loss is convex in 1/temperature: Newton's steps, halving the interval where one would leave it. */
async function inverseTemperature(
  logits: Float32Array,
  labels: Int32Array,
  classes: number,
  kind: Probabilities,
): Promise<number> {
  const derivatives = kind === 'softmax' ? softmaxDerivatives : sigmoidDerivatives
  let low = 1 / MOST_TEMPERATURE
  let high = MOST_TEMPERATURE
  let at = 1
  for (let iteration = 0; iteration < ITERATIONS; iteration++) {
    const { slope, curvature } = await derivatives(logits, labels, classes, at)
    if (!Number.isFinite(slope)) return 1
    if (slope > 0) high = at
    else low = at
    const newton = at - slope / curvature
    const next = newton > low && newton < high ? newton : (low + high) / 2
    if (Math.abs(next - at) < 1e-6 * at) return next
    at = next
  }
  return at
}

/** Of the cross-entropy of softmax with logits times `inverse`, by `inverse`. */
async function softmaxDerivatives(
  logits: Float32Array,
  labels: Int32Array,
  classes: number,
  inverse: number,
): Promise<{ slope: number; curvature: number }> {
  const breath = breathing()
  let slope = 0
  let curvature = 0
  for (const [row, label] of labels.entries()) {
    const own = logits.subarray(row * classes, (row + 1) * classes)
    const largest = own.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
    let total = 0
    let mean = 0
    let squares = 0
    for (const logit of own) {
      const distance = logit - largest
      const power = exp(inverse * distance)
      total += power
      mean += power * distance
      squares += power * distance * distance
    }
    mean /= total
    slope += mean - ((own[label] ?? Number.NaN) - largest)
    curvature += squares / total - mean * mean
    if (breath.due()) await breath.pause()
  }
  return { slope, curvature }
}

/** The same of sigmoids. */
async function sigmoidDerivatives(
  logits: Float32Array,
  labels: Int32Array,
  classes: number,
  inverse: number,
): Promise<{ slope: number; curvature: number }> {
  const breath = breathing()
  let slope = 0
  let curvature = 0
  for (const [row, label] of labels.entries()) {
    for (const [index, logit] of logits.subarray(row * classes, (row + 1) * classes).entries()) {
      const probability = sigmoid(inverse * logit)
      slope += logit * (probability - (index === label ? 1 : 0))
      curvature += logit * logit * probability * (1 - probability)
    }
    if (breath.due()) await breath.pause()
  }
  return { slope, curvature }
}
