import { cpus, release, type as systemType, totalmem } from 'node:os'

export interface Machine {
  readonly system: string
  readonly cpu: string
  readonly cores: number
  readonly memoryGiB: number
  readonly node: string
}

export function thisMachine(): Machine {
  const processors = cpus()
  return {
    system: `${systemType()} ${release()}`,
    cpu: processors[0]?.model ?? 'unknown CPU',
    cores: processors.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.versions.node,
  }
}
