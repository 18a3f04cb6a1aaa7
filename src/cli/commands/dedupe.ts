import { inertName } from '../../inert-text.ts'
import { usualSimilarity } from '../../transfer/usual-similarity.ts'
import { csvNumber, csvText } from '../../vectors/csv.ts'
import { defineCommand } from '../command.ts'
import { jsonText } from '../format.ts'
import { json } from '../shared-settings.ts'
import { number } from '../values.ts'

/** `dedupe VECTORS`: pictures that look the same to the network. */
export const dedupe = defineCommand({
  name: 'dedupe',
  summary: 'find pictures that are almost the same',
  description:
    'Groups the vectors that embed wrote by cosine. Rows are group,keep,path,label,score,row: the first of a group is kept, the score is ' +
    'the largest cosine to another of the group. No file is touched. data check finds copies without a network.',
  arguments: [{ name: 'vectors', help: 'a folder of embed, or one of its .npy files' }],
  examples: ['regraft dedupe vectors', 'regraft dedupe vectors --similarity 0.95 --json'],
  settings: {
    similarity: number(
      { from: -1, to: 1 },
      { group: 'Data', help: 'smallest cosine of what counts as the same', fallback: String(usualSimilarity) },
    ),
    json,
  },

  async run({ json, similarity }, [vectors = ''], work) {
    const options = similarity === undefined ? {} : { similarity }
    const { groups, copies, ...found } = await work.verbs.dedupe(vectors, { ...options, ...work.options() })
    const shown = work.output.isTerminal ? inertName : (name: string) => name
    if (json) await work.output.write(`${jsonText({ ...found, copies, groups }, 2)}\n`)
    else await work.output.write('group,keep,path,label,score,row\n')
    if (!json) {
      for (const [at, group] of groups.entries()) {
        for (const [place, { path, label, score, row }] of group.entries()) {
          const names = [csvText(shown(path)), csvText(shown(label ?? ''))]
          await work.output.write(
            `${[at + 1, place === 0 ? 'yes' : 'no', ...names, csvNumber(score), row].join(',')}\n`,
          )
        }
      }
    }
    work.say(
      `${found.vectors} vectors: ${groups.length} groups with a cosine of ${found.similarity} or more, ${copies} rows could go`,
    )
    return 0
  },
})
