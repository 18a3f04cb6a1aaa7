// The gradients of whole networks, as `gradcheck` judges them.

import { expect, test } from 'vitest'
import { createEngine } from '../../src/kernels/engine.ts'
import { gradcheck } from '../../src/transfer/gradcheck.ts'

for (const model of ['mobilenetv2_035', 'resnet18']) {
  test(`every parameter of ${model} has its gradient, with kept statistics and with those of the batch`, async () => {
    const engine = createEngine({ allowV8Flags: true })
    try {
      // A fresh network has biases of zero, and behind dead inputs values that stand exactly at a kink: some steps move them away.
      const options = { engine, model, pretrained: false, pictures: 3, seed: 1, burnIn: 5 } as const
      const kept = await gradcheck(options)
      expect(kept.good).toBe(true)
      expect(kept.tried - kept.leftOut).toBeGreaterThan(0.8 * kept.tried)
      for (const { name, error } of kept.tensors) expect(error, name).toBeLessThan(1e-4)
      for (const { name, error } of kept.penalty?.tensors ?? []) expect(error, name).toBeLessThan(1e-6)

      const batch = await gradcheck({ ...options, bn: 'train' })
      expect(batch.good).toBe(true)
      expect(batch.tried - batch.leftOut).toBeGreaterThan(0.8 * batch.tried)
      for (const { name, error, drift, verdict } of batch.tensors) {
        if (verdict !== 'no gradient') expect(error, name).toBeLessThan(3 * Math.max(drift ?? 0, 1e-6))
      }
    } finally {
      await engine.close()
    }
  }, 1_800_000)
}
