import { type DroppingAttributes, droppingOp } from './dropping.ts'
import { defineOp } from './op.ts'

/**
 * Single values are left out at random, and the others enlarged. In training alone.
 * @see Srivastava et al. 2014, https://jmlr.org/papers/v15/srivastava14a.html
 */
export const dropout = defineOp<DroppingAttributes>(droppingOp({ together: false }))
