import { expect, test } from 'vitest'
import type { CheckedTensor } from '../../src/transfer/check-gradients.ts'
import type { GradcheckOptions, GradcheckResult } from '../../src/transfer/gradcheck.ts'
import { perform } from './stage.ts'

const fine: CheckedTensor = {
  name: 'fc.bias',
  shape: [3],
  depth: 1,
  tried: 3,
  leftOut: 1,
  error: 2.5e-7,
  drift: 2e-7,
  rounding: null,
  verdict: 'acceptable',
}
const result: GradcheckResult = {
  architecture: 'resnet18',
  images: 3,
  imgSize: 48,
  bn: 'frozen',
  loss: 'ce',
  step: 1e-6,
  burnIn: 0,
  dataLoss: { kernels: 1.0986, reference: 1.09861 },
  tensors: [fine],
  penalty: undefined,
  tried: 3,
  leftOut: 1,
  apart: 0,
  nudged: 0,
  good: true,
}

test('gradcheck hands model, data and options on, and prints a table with verdicts', async () => {
  let seen: Partial<GradcheckOptions> = {}
  const gradcheck = async (options: GradcheckOptions) => {
    seen = options
    return result
  }
  const words = [
    'gradcheck',
    'runs/a',
    'flowers',
    '--bn',
    'train',
    '--burn-in',
    '5',
    '--step',
    '1e-5',
    '--no-pretrained',
  ]
  const ran = await perform(words, { verbs: { gradcheck } })
  expect(seen).toMatchObject({
    model: 'runs/a',
    data: 'flowers',
    bn: 'train',
    burnIn: 5,
    step: 1e-5,
    pretrained: false,
  })
  expect(ran.exitCode).toBe(0)
  expect(ran.stdout).toContain('resnet18, 3 pictures of 48x48, loss ce, batch norm frozen, h = 0.000001\n')
  expect(ran.stdout).toMatch(/^fc\.bias +3 +1 +3 +1 +2\.5e-7 {2}acceptable$/m)
  expect(ran.stdout).toContain('3 coordinates tried, 1 left out')
  expect(ran.stdout).toMatch(/The gradients are those of the loss\.\n$/)
})

test('gradcheck exits with 1 when a gradient is wrong, and says how many', async () => {
  const wrong: GradcheckResult = {
    ...result,
    bn: 'train',
    apart: 2,
    nudged: 6,
    tensors: [
      fine,
      { ...fine, name: 'fc.weight', error: 0.5, rounding: 1e-6, verdict: 'wrong' },
      { ...fine, name: 'bn.bias', error: null, leftOut: 3, verdict: 'not judged' },
    ],
    penalty: { kernels: 2, reference: 2, tensors: [{ ...fine, drift: null }] },
    good: false,
  }
  const verbs = { gradcheck: async () => wrong }
  const ran = await perform(['gradcheck'], { verbs })
  expect(ran.exitCode).toBe(1)
  expect(ran.stdout).toMatch(/^parameter .* error +drift +float32 +verdict$/m)
  expect(ran.stdout).toContain('2 values stand on the other side of a kink')
  expect(ran.stdout).toContain('1 parameters could not be judged: --burn-in')
  expect(ran.stdout).toContain('regularisation: 2, reference 2\n')
  expect(ran.stdout).toMatch(/1 parameters? .* wrong\.\n$/)
  const { stdout } = await perform(['gradcheck', '--json'], { verbs })
  expect(JSON.parse(stdout)).toMatchObject({
    good: false,
    left_out: 1,
    values_apart: 2,
    tensors: [{ left_out: 1, verdict: 'acceptable' }, { error: 0.5, verdict: 'wrong' }, { error: null }],
    penalty: { kernels: 2 },
  })
})
