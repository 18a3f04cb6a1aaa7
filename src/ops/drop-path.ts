import { type DroppingAttributes, droppingOp } from './dropping.ts'
import { defineOp } from './op.ts'

/**
 * Pictures are left out as a whole, and the others enlarged: at the end of a residual branch, so that a picture may go around a block.
 * In training alone.
 * @see Huang et al. 2016, "Deep networks with stochastic depth", https://arxiv.org/abs/1603.09382
 */
export const dropPath = defineOp<DroppingAttributes>(droppingOp({ together: true }))
