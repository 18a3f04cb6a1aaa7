import { expect, test } from 'vitest'
import { graphOf } from '../../src/model/model.ts'
import { trainingTable, whatTrains } from '../../src/transfer/outlook/what-trains.ts'
import { randomModel } from '../stories/random-model.ts'

test('parts of the network are listed with counts and rates, frozen neighbours together', async () => {
  const graph = graphOf(await randomModel('mobilenetv1_025', { labels: ['a', 'b', 'c'] }))
  const parts = whatTrains(graph, (name) =>
    name.startsWith('blocks.4.1.conv') ? 5e-4 : name.startsWith('classifier') ? 0 : null,
  )
  expect(trainingTable(parts)).toEqual([
    '  stem to blocks.4.0           144,208  frozen',
    '  blocks.4.1          67,840 of 68,864  rate 0.0005',
    '  head                             771  solved',
  ])
})
