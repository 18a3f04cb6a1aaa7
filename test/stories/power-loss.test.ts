// Some of the moments that test/long/power-loss.test.ts looks at one after the other.
import { describe } from 'vitest'
import { describePowerLoss } from './power-loss-series.ts'

describe('a power cut in a training', () => describePowerLoss(29, 3))
