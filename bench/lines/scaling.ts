// How our cost grows with batch, picture size and width.
import { ours } from '../entrants.ts'
import type { Section, SpeedLine } from '../line.ts'
import type { Workload } from '../workload.ts'
import { multiplyAddsOf, SIZE } from './networks.ts'

const NETWORK = 'mobilenetv2_100'
const BATCH = 8

function line(name: string, network: string, size: number, images: number): SpeedLine {
  return {
    measures: 'speed',
    name: `scaling ${name}`,
    ours: { ...ours(), task: (workload: Workload) => workload.forward(network, size, images) },
    opponents: [],
    amount: { images, flop: 2 * images * multiplyAddsOf(network, size) },
    unit: 'images/s',
  }
}

export const scaling: Section = {
  name: 'scaling',
  lines: [
    ...[1, 2, 4, 8, 16].map((images) => line(`batch ${images}`, NETWORK, SIZE, images)),
    ...[96, 128, 160, 192, 224].map((size) => line(`size ${size}`, NETWORK, size, BATCH)),
    ...['035', '050', '075', '100'].map((width) => line(`width ${width}`, `mobilenetv2_${width}`, SIZE, BATCH)),
  ],
}
