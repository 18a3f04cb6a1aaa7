import { describe, expect, test } from 'vitest'
import { afterPlateaus } from '../../src/optim/plateau.ts'
import {
  cosine,
  endOf,
  type Moment,
  multistep,
  oneCycle,
  rateAt,
  restarts,
  type Schedule,
  stepDown,
  warmUp,
} from '../../src/optim/schedule.ts'
import { hasOracle, type OracleCase, oracleCases } from '../support/oracle.ts'

describe.skipIf(!hasOracle)('schedules against recorded PyTorch results', () => {
  /** Multipliers of base_lr by step; undefined for the two kinds that are not ours. */
  function formulaFor(recorded: OracleCase): ((step: number) => number) | undefined {
    const { config } = recorded
    const number = (key: string) => recorded.number(key)
    const base = number('base_lr')
    const end = number('eta_min') / base
    switch (config['kind']) {
      case 'step':
        return (t) => stepDown(t, number('step_size'), number('gamma'))
      case 'multistep':
        return (t) => multistep(t, recorded.numbers('milestones'), number('gamma'))
      case 'exponential': {
        const schedule: Schedule = { kind: 'exponential', factor: number('gamma') }
        return (t) => rateAt(schedule, momentOf(t, number('steps'))).multiplier
      }
      case 'cosine':
        return (t) => cosine(t / number('T_max'), end)
      case 'cosine_restarts':
        return (t) => restarts(t, number('T_0'), number('T_mult'), end)
      case 'warmup+cosine': {
        const warmup = number('warmup_steps')
        const start = number('warmup_start_factor')
        return (t) => (t < warmup ? warmUp(t, warmup, start) : cosine((t - warmup) / number('T_max'), end))
      }
      case 'linear':
        return (t) => (t < number('total') ? warmUp(t, number('total'), number('start_factor')) : 1)
      case 'polynomial': {
        const schedule: Schedule = { kind: 'polynomial', power: number('power') }
        return (t) => rateAt(schedule, momentOf(t, number('total'))).multiplier
      }
      case 'one_cycle': {
        if (config['three_phase'] === true) return undefined
        return (t) => (oneCycle(t, number('total_steps'), number('pct_start')).multiplier * number('max_lr')) / base
      }
      case 'plateau': {
        const metric = [...recorded.tensor('metric').values]
        const options = {
          factor: number('factor'),
          patience: number('patience'),
          threshold: number('threshold'),
          thresholdMode: config['threshold_mode'] === 'abs' ? 'absolute' : 'relative',
          better: config['mode'] === 'max' ? 'higher' : 'lower',
          cooldown: Number(config['cooldown'] ?? 0),
          least: Number(config['min_lr'] ?? 0) / base,
        } as const
        return (t) => afterPlateaus(metric.slice(0, t), options)
      }
      default:
        return undefined
    }
  }

  const momentOf = (step: number, epochs: number): Moment => ({
    step,
    stepsPerEpoch: 1,
    epochs,
    warmupEpochs: 0,
    validationLosses: [],
  })

  const recordings = oracleCases(/^schedule_/)
  const ours = recordings.filter((recorded) => formulaFor(recorded) !== undefined)

  test('all but three are ours', () => {
    expect(recordings.filter((recorded) => !ours.includes(recorded)).map(({ name }) => name)).toEqual([
      'schedule_constant_factor',
      'schedule_one_cycle_linear_three_phase',
      'schedule_cyclic_triangular',
    ])
  })

  test.each(ours)('$name', (recorded) => {
    const formula = formulaFor(recorded)
    const { values } = recorded.tensor('lr')
    expect(values.length).toBeGreaterThan(20)
    for (const [step, rate] of values.entries()) {
      expect(Math.abs(recorded.number('base_lr') * (formula?.(step) ?? Number.NaN) - rate)).toBeLessThan(1e-12)
    }
  })

  test('the momentum of one cycle', () => {
    const [recorded] = oracleCases(/^schedule_one_cycle$/)
    const { values } = recorded?.tensor('momentum') ?? { values: [] }
    expect(values.length).toBe(30)
    for (const [step, momentum] of values.entries()) {
      expect(Math.abs(oneCycle(step, 30, 0.3).momentum - momentum)).toBeLessThan(1e-12)
    }
  })
})

describe('a schedule over a training', () => {
  const at = (schedule: Schedule, epoch: number, more: Partial<Moment> = {}): number =>
    rateAt(schedule, {
      step: epoch * 10,
      stepsPerEpoch: 10,
      epochs: 12,
      warmupEpochs: 0,
      validationLosses: [],
      ...more,
    }).multiplier
  const kinds = [
    'constant',
    'step',
    'multistep',
    'exponential',
    'inverse',
    'plateau',
    'cosine',
    'restarts',
    'polynomial',
    'onecycle',
  ] as const

  test.each(kinds)('%s stays above 0 and at most 1, and rises in a straight line during warm-up', (kind) => {
    const warmed = { warmupEpochs: 2 }
    for (let step = 0; step < 120; step++) {
      expect(at({ kind }, step / 10, warmed)).toBeGreaterThan(0)
      expect(at({ kind }, step / 10, warmed)).toBeLessThanOrEqual(1)
    }
    expect(at({ kind }, 0, warmed)).toBeCloseTo(1 / 21, 15)
    expect(at({ kind }, 1.9, warmed)).toBeCloseTo(20 / 21, 15)
    // Behind the warm-up it begins as it would without.
    const shorter = rateAt(
      { kind },
      { step: 30, stepsPerEpoch: 10, epochs: 10, warmupEpochs: 0, validationLosses: [] },
    ).multiplier
    expect(at({ kind }, 5, warmed)).toBeCloseTo(shorter, 14)
  })

  test('numbers that are left out follow from the length', () => {
    expect([0, 3.9, 4, 8, 11.9].map((epoch) => at({ kind: 'step' }, epoch))).toEqual(
      [1, 1, 0.1, 0.01, 0.01].map((value) => expect.closeTo(value, 14)),
    )
    expect([5.9, 6, 8.9, 9].map((epoch) => at({ kind: 'multistep' }, epoch))).toEqual(
      [1, 0.1, 0.1, 0.01].map((value) => expect.closeTo(value, 14)),
    )
    expect(at({ kind: 'exponential' }, 12)).toBeCloseTo(0.01, 14)
    expect(at({ kind: 'inverse' }, 12)).toBeCloseTo(0.1, 14)
    expect(at({ kind: 'cosine' }, 6)).toBeCloseTo(0.5, 14)
    // Three cosines, of 12/7, 24/7 and 48/7 epochs.
    expect(at({ kind: 'restarts' }, (12 / 7) * 3 + 1e-9)).toBeCloseTo(1, 9)
    expect(at({ kind: 'restarts' }, 12 - 1e-9)).toBeCloseTo(0, 9)
    expect(at({ kind: 'polynomial' }, 3)).toBeCloseTo(0.75, 14)
  })

  test('numbers that are given count in epochs', () => {
    expect(at({ kind: 'step', every: 5, factor: 0.5 }, 10)).toBe(0.25)
    expect(at({ kind: 'multistep', milestones: [2, 7], factor: 0.5 }, 7)).toBe(0.25)
    expect(at({ kind: 'exponential', factor: 0.5 }, 3)).toBeCloseTo(0.125, 15)
    expect(at({ kind: 'inverse', strength: 1 }, 3)).toBe(0.25)
    expect(at({ kind: 'cosine', end: 0.2 }, 12)).toBeCloseTo(0.2, 15)
    expect(at({ kind: 'restarts', first: 3, growth: 1 }, 6)).toBe(1)
    expect(at({ kind: 'polynomial', power: 2 }, 6)).toBe(0.25)
    expect(at({ kind: 'onecycle', rise: 0.5 }, 5.9)).toBe(1)
  })

  test('one cycle ends with the last step, and alone moves the momentum', () => {
    const moment: Moment = { step: 119, stepsPerEpoch: 10, epochs: 12, warmupEpochs: 0, validationLosses: [] }
    const last = rateAt({ kind: 'onecycle' }, moment)
    expect(last).toEqual({ multiplier: expect.closeTo(1e-4 / 25, 15), momentum: expect.closeTo(0.95, 14) })
    for (const kind of kinds) {
      if (kind !== 'onecycle') expect(rateAt({ kind }, moment).momentum).toBeUndefined()
    }
  })

  test('a plateau lowers the rate and in the end stops the training', () => {
    const schedule: Schedule = { kind: 'plateau', factor: 0.1, patience: 1 }
    const worse = (epochs: number) => ({ validationLosses: [1, ...new Array<number>(epochs).fill(1)] })
    expect(at(schedule, 3, worse(1))).toBe(1)
    expect(at(schedule, 3, worse(2))).toBe(0.1)
    const moment = (epochs: number): Moment => ({
      step: 30,
      stepsPerEpoch: 10,
      epochs: 100,
      warmupEpochs: 0,
      ...worse(epochs),
    })
    expect(endOf(schedule, moment(6))).toBeUndefined()
    expect(endOf(schedule, moment(8))).toContain('a thousandth')
    expect(endOf({ kind: 'constant' }, moment(80))).toBeUndefined()
    // A loss that is not a number is no improvement.
    expect(at(schedule, 3, { validationLosses: [1, Number.NaN, Number.NaN] })).toBe(0.1)
  })
})
