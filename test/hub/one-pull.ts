// A process that fetches one model and says what it heard.
import { parseHubId } from '../../src/hub/hub-id.ts'
import { hubModel } from '../../src/hub/hub-model.ts'

const id = parseHubId(process.argv[2] ?? '')
if (id === undefined) throw new Error('no name')
const notes: string[] = []
const { fetchedBytes } = await hubModel(id, {
  listener: (event) => {
    if (event.type === 'note') notes.push(event.message)
  },
})
process.stdout.write(JSON.stringify({ fetchedBytes, notes }))
