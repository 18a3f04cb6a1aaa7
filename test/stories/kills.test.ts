// A few of the kills of test/long/kills.test.ts.
import { describeKills } from './kill-series.ts'

describeKills(4)
