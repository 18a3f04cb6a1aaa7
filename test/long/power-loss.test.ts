// Power cuts after each call of a training that reaches the disk.
import { describe } from 'vitest'
import { describePowerLoss } from '../stories/power-loss-series.ts'

describe('a power cut in a training', () => describePowerLoss(1, 60))
