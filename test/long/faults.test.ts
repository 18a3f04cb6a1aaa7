// Every call of a training that reaches the disk fails in turn.
import { describeFaults } from '../stories/fault-series.ts'

describeFaults(Number.POSITIVE_INFINITY)
