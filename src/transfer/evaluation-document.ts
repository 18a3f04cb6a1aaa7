import type { Evaluation } from '../train/evaluation.ts'

/** The evaluation with the names that scripts rely on. */
export function evaluationDocument(evaluation: Evaluation): Readonly<Record<string, unknown>> {
  const { calibration } = evaluation
  return {
    accuracy: evaluation.accuracy,
    accuracy_interval: evaluation.accuracyInterval,
    loss: evaluation.loss,
    images: evaluation.images,
    top_k: { k: evaluation.topCount, accuracy: evaluation.topAccuracy },
    balanced_accuracy: evaluation.balancedAccuracy,
    macro_f1: evaluation.macroF1,
    classes: evaluation.classes.map((scores) => ({
      name: scores.name,
      images: scores.images,
      predicted: scores.predicted,
      accuracy: scores.accuracy,
      precision: scores.precision,
      precision_interval: scores.precisionInterval,
      recall: scores.recall,
      recall_interval: scores.recallInterval,
      f1: scores.f1,
      f1_interval: scores.f1Interval,
    })),
    confusion: evaluation.confusion,
    confused: evaluation.confused,
    mistakes: evaluation.mistakes.map(({ truthScore, ...mistake }) => ({ ...mistake, truth_score: truthScore })),
    calibration: calibration && {
      error: calibration.error,
      temperature: calibration.temperature,
      error_after: calibration.errorAfter,
      loss_after: calibration.lossAfter,
      bins: calibration.bins,
    },
  }
}
