/** `--val` as a fraction where it is one, else as the path that it is. */
export function validationChoice(text: string | null | undefined): number | string | undefined {
  if (text === null || text === undefined) return undefined
  return /^(0|0?\.\d+|1)$/.test(text) ? Number(text) : text
}
