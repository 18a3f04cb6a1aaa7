import type { Graph } from '../../graph/graph.ts'
import { parameterName, parametersOf } from '../../graph/graph.ts'
import { elementCount } from '../../tensor/shape.ts'

/** A part of the network, as `--unfreeze` counts them. */
export interface TrainingPart {
  readonly name: string
  readonly parameters: number
  readonly training: number
  /** Learning rate of what trains; 0 where it is solved, null where nothing trains. */
  readonly rate: number | null
}

/**
 * Parameters of each block of a network, in its order; statistics of batch norm are not counted.
 * @param rateOf  the rate of a parameter; null when it does not train
 */
export function whatTrains(graph: Graph, rateOf: (parameter: string) => number | null): readonly TrainingPart[] {
  const parts = new Map<string, { parameters: number; training: number; rate: number | null }>()
  for (const layer of graph.layers) {
    const name = layer.block ?? layer.stage
    const part = parts.get(name) ?? { parameters: 0, training: 0, rate: null }
    for (const spec of parametersOf(layer)) {
      if (spec.kind === 'statistic') continue
      const values = elementCount(spec.shape)
      const rate = rateOf(parameterName(layer, spec))
      part.parameters += values
      if (rate === null) continue
      part.training += values
      part.rate = Math.max(part.rate ?? 0, rate)
    }
    if (part.parameters > 0) parts.set(name, part)
  }
  return [...parts].map(([name, part]) => ({ name, ...part }))
}

/** The table as lines; parts that follow each other and are frozen share one. */
export function trainingTable(parts: readonly TrainingPart[]): readonly string[] {
  const rows: { name: string; parameters: string; rate: string }[] = []
  let frozen: TrainingPart[] = []
  const closeFrozen = () => {
    const [first] = frozen
    const last = frozen.at(-1)
    if (!first || !last) return
    const name = first === last ? first.name : `${first.name} to ${last.name}`
    rows.push({ name, parameters: grouped(sum(frozen, 'parameters')), rate: 'frozen' })
    frozen = []
  }
  for (const part of parts) {
    if (part.rate === null) {
      frozen.push(part)
      continue
    }
    closeFrozen()
    const { training, parameters } = part
    const counted = training === parameters ? grouped(training) : `${grouped(training)} of ${grouped(parameters)}`
    rows.push({
      name: part.name,
      parameters: counted,
      rate: part.rate === 0 ? 'solved' : `rate ${Number(part.rate.toPrecision(3))}`,
    })
  }
  closeFrozen()
  const width = (of: (row: (typeof rows)[number]) => string) => Math.max(...rows.map((row) => of(row).length))
  const nameWidth = width(({ name }) => name)
  const countWidth = width(({ parameters }) => parameters)
  return rows.map((row) => `  ${row.name.padEnd(nameWidth)}  ${row.parameters.padStart(countWidth)}  ${row.rate}`)
}

export function sum(parts: readonly TrainingPart[], of: 'parameters' | 'training'): number {
  return parts.reduce((total, part) => total + part[of], 0)
}

/** `3504872` as `3,504,872`. */
export function grouped(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ',')
}
