// Some of the faults that test/long/faults.test.ts injects one after the other.
import { describeFaults } from './fault-series.ts'

describeFaults(2)
