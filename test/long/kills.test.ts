// Kills at random moments: a thousand, or REGRAFT_KILLS of them.
import { describeKills } from '../stories/kill-series.ts'

describeKills(Number(process.env['REGRAFT_KILLS'] ?? 1000))
