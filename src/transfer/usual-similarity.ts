/** Vectors of pictures that differ by size or compression alone have at least this cosine. */
export const usualSimilarity = 0.98
