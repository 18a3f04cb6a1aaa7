// Every call of a training that reaches the disk fails in turn; with REGRAFT_FAULTS only so many of each kind.
import { describeFaults } from '../stories/fault-series.ts'

describeFaults(Number(process.env['REGRAFT_FAULTS'] ?? Number.POSITIVE_INFINITY))
