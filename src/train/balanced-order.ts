import { randomStream } from '../random.ts'

/**
 * An order of as many positions as there are labels, in which all classes come equally often: of a small class each member comes several
 * times, of a large one some members do not come in this epoch. Drawn from (seed, epoch).
 * @returns positions in `labels`
 */
export function balancedOrder(labels: ArrayLike<number>, seed: number, epoch: number): Uint32Array {
  const members = new Map<number, number[]>()
  for (const [position, label] of Array.from(labels).entries()) {
    const others = members.get(label)
    if (others) others.push(position)
    else members.set(label, [position])
  }
  const draws = randomStream({ seed, epoch, purpose: 'balanced order' })
  // What does not come out even goes to other classes in each epoch.
  const classes = draws.shuffle([...members.keys()].sort((a, b) => a - b))
  const chosen: number[] = []
  for (const [rank, label] of classes.entries()) {
    const own = members.get(label) ?? []
    const share = Math.floor(labels.length / classes.length) + (rank < labels.length % classes.length ? 1 : 0)
    const order = randomStream({ seed, epoch, sample: label, purpose: 'members of a balanced order' }).shuffle(own)
    for (let at = 0; at < share; at++) chosen.push(order[at % order.length] ?? 0)
  }
  return Uint32Array.from(draws.shuffle(chosen))
}
