// Products of matrices in the shapes of MobileNet and ResNet, b packed beforehand.
import { jaxJs, onnxruntimeWeb, ours, pytorch, tfjsWasm } from '../entrants.ts'
import type { Opponent, Result, Section, SpeedLine, Verdict } from '../line.ts'
import { otherBuild } from '../ours/builds.ts'
import type { MatmulTask } from '../protocol.ts'
import type { Workload } from '../workload.ts'
import { productTruth } from './truth.ts'

const SHAPES = [
  [512, 512, 512],
  [1024, 1024, 1024],
  [12544, 32, 16],
  [3136, 96, 24],
  [784, 192, 32],
  [196, 576, 96],
  [49, 1280, 320],
  [3136, 64, 576],
  [392, 512, 4608],
  [50176, 144, 24],
] as const

const SHARE = 0.85
const SHAPES_THAT_REACH_IT = 8
/** Of so much work a second thread must take half. */
const LARGE_FLOP = 5e7
const TWO_THREADS = 1.8
/** With sums as short as this, reading and writing take longer than multiplying. */
const SHORT_SUM = 24
const WITHIN = 1e-5

function line([m, n, k]: (typeof SHAPES)[number], threads: 1 | 2): SpeedLine {
  const flop = 2 * m * n * k
  const task = (workload: Workload): MatmulTask => ({
    kind: 'matmul',
    ...{ m, n, k },
    a: workload.noise('a', m * k),
    b: workload.noise('b', k * n),
  })
  const meets = (entrant: Omit<Opponent, 'task' | 'within'>, within = WITHIN): Opponent => ({
    ...entrant,
    task,
    within,
  })
  const one: Opponent[] = [
    meets(onnxruntimeWeb(1)),
    meets(tfjsWasm),
    meets(jaxJs),
    ...pytorch(1).map((entrant) => meets(entrant)),
  ]
  const two: Opponent[] = [
    { ...meets(ours({ label: 'one thread' }), 0), ...(flop >= LARGE_FLOP ? { bar: TWO_THREADS } : {}) },
    meets(onnxruntimeWeb(2)),
    ...pytorch(2).map((entrant) => meets(entrant)),
  ]
  return {
    measures: 'speed',
    name: `gemm ${m}x${n}x${k}${threads === 2 ? ', 2 threads' : ''}`,
    ours: { ...ours({ threads }), task },
    opponents: threads === 2 ? two : one,
    witnesses: [meets(ours({ build: otherBuild, label: 'other build' }))],
    amount: { flop, ...(k <= SHORT_SUM ? { bytes: 4 * (m * k + m * n) } : {}) },
    unit: 'GFLOP/s',
    truth: { within: WITHIN, arrays: (workload) => ({ output: productTruth(task(workload)) }) },
  }
}

export const gemm: Section = {
  name: 'gemm',
  lines: ([1, 2] as const).flatMap((threads) => SHAPES.map((shape) => line(shape, threads))),
  verdict(results): Verdict[] {
    const shares = SHAPES.map((shape) => results.find(({ name }) => name === line(shape, 1).name)).filter(
      (result): result is Result => result !== undefined,
    )
    if (shares.length < SHAPES.length) return []
    const reached = shares.filter(({ share }) => share !== undefined && share.median >= SHARE).length
    const text = `${reached} of ${SHAPES.length} shapes reach ${SHARE * 100} % of the register peak, ${SHAPES_THAT_REACH_IT} should`
    return [{ text, holds: reached >= SHAPES_THAT_REACH_IT }]
  },
}
