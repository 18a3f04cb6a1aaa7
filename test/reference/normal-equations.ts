/**
 * Ridge regression in float64 by Gaussian elimination: (XᵀX + alpha)·W = XᵀY with means taken out, so that biases are free.
 * @param values   [rows, columns]
 * @param targets  [rows, outputs]
 * @returns weight [outputs, columns], bias [outputs]
 */
export function normalEquations(
  given: {
    readonly values: ArrayLike<number>
    readonly columns: number
    readonly targets: ArrayLike<number>
    readonly outputs: number
  },
  alpha: number,
): { weight: number[]; bias: number[] } {
  const { values, columns, targets, outputs } = given
  const rows = values.length / columns
  const x = (row: number, c: number) => values[row * columns + c] ?? Number.NaN
  const y = (row: number, o: number) => targets[row * outputs + o] ?? Number.NaN
  const all = Array.from({ length: rows }, (_, row) => row)
  const meanOf = (of: (row: number) => number) => all.reduce((sum, row) => sum + of(row), 0) / rows
  const xMeans = Array.from({ length: columns }, (_, c) => meanOf((row) => x(row, c)))
  const yMeans = Array.from({ length: outputs }, (_, o) => meanOf((row) => y(row, o)))
  const cx = (row: number, c: number) => x(row, c) - (xMeans[c] ?? 0)
  const system = Array.from({ length: columns }, (_, i) => [
    ...Array.from(
      { length: columns },
      (_, j) => all.reduce((sum, row) => sum + cx(row, i) * cx(row, j), 0) + (i === j ? alpha : 0),
    ),
    ...Array.from({ length: outputs }, (_, o) =>
      all.reduce((sum, row) => sum + cx(row, i) * (y(row, o) - (yMeans[o] ?? 0)), 0),
    ),
  ])
  for (let pivot = 0; pivot < columns; pivot++) {
    const size = (i: number) => Math.abs(system[i]?.[pivot] ?? 0)
    let largest = pivot
    for (let i = pivot + 1; i < columns; i++) if (size(i) > size(largest)) largest = i
    const [own = [], other = []] = [system[largest], system[pivot]]
    system[pivot] = own
    system[largest] = other
    for (let i = 0; i < columns; i++) {
      const row = system[i]
      if (i === pivot || row === undefined) continue
      const factor = (row[pivot] ?? 0) / (own[pivot] ?? Number.NaN)
      for (let j = pivot; j < row.length; j++) row[j] = (row[j] ?? 0) - factor * (own[j] ?? 0)
    }
  }
  const weight = Array.from({ length: outputs * columns }, (_, at) => {
    const [o, c] = [Math.floor(at / columns), at % columns]
    return (system[c]?.[columns + o] ?? Number.NaN) / (system[c]?.[c] ?? Number.NaN)
  })
  const bias = yMeans.map((mean, o) =>
    xMeans.reduce((sum, center, c) => sum - (weight[o * columns + c] ?? 0) * center, mean),
  )
  return { weight, bias }
}
