/** Ways to find a head on features. */
export const solvers = ['lbfgs', 'ridge', 'knn', 'centroid', 'gradient'] as const
export type Solver = (typeof solvers)[number]
