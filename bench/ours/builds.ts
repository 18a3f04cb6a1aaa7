// The builds of the kernels that are measured.
import { type KernelBuild, relaxedAvailable } from '../../src/kernels/load.ts'

/** The fastest build that every Node of ours runs. */
export const usualBuild: KernelBuild = relaxedAvailable(true) ? 'relaxed' : 'baseline'

/** Another build, whose results the usual one's are compared with. */
export const otherBuild = 'baseline'

/** With 256-bit registers, where engine and Node have it. */
export const wideBuild = '256'
