import { RegraftError } from '../../errors.ts'
import { formatBytes } from '../../format-bytes.ts'
import { inertName } from '../../inert-text.ts'
import { nearestName } from '../../nearest-name.ts'
import type { ModelEntry, VerifiedFile } from '../../transfer/models.ts'
import { defineCommand, type Work } from '../command.ts'
import { jsonText, percent, significant } from '../format.ts'
import { json } from '../shared-settings.ts'
import { textTable } from '../table.ts'

const actions = ['list', 'info', 'pull', 'verify', 'rm'] as const

/** `models list|info|pull|verify|rm`: pretrained models. */
export const models = defineCommand({
  name: 'models',
  summary: 'list, fetch, verify and remove pretrained models',
  description:
    'list shows the models that come along, those with cards, and those of the hub that were used here; info all that is known of one. ' +
    'pull fetches a model, or what is new of it, into the cache of huggingface_hub. verify reads its files and compares them with the ' +
    'digests by which the hub names them and with those pinned on first use; it exits with 4 when one differs. rm removes it from the cache.\n' +
    'HF_HOME, HF_HUB_CACHE, HF_ENDPOINT, HF_HUB_OFFLINE, HF_TOKEN and HTTPS_PROXY mean what they mean there.',
  arguments: [
    { name: 'action', help: 'list, info, pull, verify or rm' },
    { name: 'names', help: 'names of the list, or owner/name[@revision] of the hub', optional: true, several: true },
  ],
  examples: [
    'regraft models list',
    'regraft models pull mobilenetv2_100.ra_in1k',
    'regraft models verify',
    'regraft models rm timm/resnet18.a1_in1k',
  ],
  settings: { json },

  async run({ json }, [word = '', ...names], work) {
    const action = actions.find((each) => each === word)
    if (action === undefined) {
      const near = nearestName(word, actions)
      const meant = near === undefined ? '' : ` Did you mean '${near}'?`
      throw new RegraftError(
        'usage',
        `models: '${inertName(word, 100)}' is not known; ${actions.join(', ')} are.${meant}`,
      )
    }
    if (action === 'list' && names.length > 0)
      throw new RegraftError('usage', 'models list takes no names; models info does.')
    if (action !== 'list' && action !== 'verify' && names.length === 0)
      throw new RegraftError('usage', `models ${action}: a name is missing. 'regraft models list' has some.`)
    const print = async (document: unknown, text: string) => {
      if (json) await work.output.write(`${jsonText(document, 2)}\n`)
      else await work.output.write(text)
    }
    if (action === 'list') {
      const entries = await work.verbs.listModels()
      await print(entries.map(entryDocument), listText(entries))
      return 0
    }
    if (action === 'info') {
      const entries: ModelEntry[] = []
      for (const name of names) entries.push(await work.verbs.modelInfo(name))
      await print(entries.map(entryDocument), entries.map(infoText).join('\n'))
      return 0
    }
    if (action === 'pull') return await pull(names, work, print)
    if (action === 'rm') {
      const removed = []
      for (const name of names) removed.push(await work.verbs.removeModel(name))
      for (const { name, bytes, folder } of removed)
        work.say(`${name}: ${formatBytes(bytes)} removed from ${inertName(folder)}`)
      if (json) await work.output.write(`${jsonText(removed, 2)}\n`)
      return 0
    }
    const files = await work.verbs.verifyModels(names, work.signal)
    await print(files, verifiedText(files))
    const wrong = files.filter(({ problem }) => problem !== null).length
    if (wrong > 0)
      work.say(
        `${wrong} of ${files.length} files are not as they should be. Remove the model (models rm) and pull it again.`,
      )
    return wrong > 0 ? 4 : 0
  },
})

async function pull(
  names: readonly string[],
  work: Work,
  print: (document: unknown, text: string) => Promise<void>,
): Promise<number> {
  const pulled = []
  for (const name of names) {
    const model = await work.verbs.pullModel(name, work.access())
    pulled.push(model)
    const news = model.fetchedBytes > 0 ? `${formatBytes(model.fetchedBytes)} fetched` : 'already there'
    work.say(
      `${model.name}: ${news}, commit ${model.commit.slice(0, 12)}, licence ${inertName(model.licence ?? 'not stated', 100)}`,
    )
  }
  const document = pulled.map(({ fetchedBytes, ...model }) => ({ ...model, fetched_bytes: fetchedBytes }))
  await print(document, pulled.map(({ folder }) => `${inertName(folder)}\n`).join(''))
  return 0
}

function entryDocument({ licenceFrom, imgSize, gigaMultiplyAdds, parameters, ...entry }: ModelEntry): unknown {
  return {
    ...entry,
    licence_from: licenceFrom,
    img_size: imgSize,
    parameters_millions: parameters,
    multiply_adds_billions: gigaMultiplyAdds,
  }
}

function listText(entries: readonly ModelEntry[]): string {
  const rows = entries.map((entry) => [
    inertName(entry.name, 100),
    builtText(entry),
    inertName(entry.licence ?? 'not stated', 30),
    figure(entry.parameters),
    figure(entry.gigaMultiplyAdds),
    entry.top1 === null ? '' : (entry.top1 * 100).toFixed(1),
    entry.place === 'package' ? 'comes along' : entry.cached === null ? '' : formatBytes(entry.cached.bytes),
    entry.use ?? '',
  ])
  const titles = ['name', 'runs here', 'licence', 'M parameters', 'G mult-adds', 'top-1 %', 'on this machine', 'for']
  return textTable([titles, ...rows], [3, 4, 5])
}

function builtText({ built, architecture }: ModelEntry): string {
  return built === null ? '?' : built ? 'yes' : `no: ${inertName(architecture ?? '', 40)} is not built yet`
}

function figure(value: number | null): string {
  return value === null ? '' : significant(value, 4)
}

function infoText(entry: ModelEntry): string {
  const lines: (readonly [string, string])[] = [
    ['name', entry.name],
    [
      'network',
      `${entry.architecture ?? 'not known before it is fetched'}${entry.built === false ? ' (not built by this version)' : ''}`,
    ],
    ['from', entry.repository === null ? 'the package' : `${entry.repository} on the hub`],
    ['licence', entry.licence === null ? 'not stated' : `${entry.licence} (says the ${entry.licenceFrom})`],
  ]
  if (entry.imgSize !== null) lines.push(['pictures', `${entry.imgSize}x${entry.imgSize}`])
  if (entry.parameters !== null) lines.push(['parameters', `${figure(entry.parameters)} million`])
  if (entry.gigaMultiplyAdds !== null)
    lines.push(['computing', `${figure(entry.gigaMultiplyAdds)} thousand million multiply-adds a picture`])
  if (entry.top1 !== null) lines.push(['accuracy', `${percent(entry.top1)} on ImageNet`])
  if (entry.use !== null) lines.push(['good for', entry.use])
  if (entry.cached === null) lines.push(['files', 'not on this machine; digests are pinned when they are first used'])
  for (const { commit, names, folder, source, files } of entry.cached?.revisions ?? []) {
    if (commit !== '')
      lines.push([
        'commit',
        `${commit}${names.length > 0 ? ` (${names.join(', ')})` : ''}${source === null ? '' : ` from ${source}`}`,
      ])
    lines.push(['folder', folder])
    for (const file of files)
      lines.push([
        'file',
        `${file.path}  ${formatBytes(file.bytes)}  ${file.sha256 === null ? 'digest not pinned' : `sha-256 ${file.sha256}`}`,
      ])
  }
  return lines.map(([title, text]) => `${title.padEnd(11)} ${inertName(text)}\n`).join('')
}

const witnesses = {
  pin: 'pinned on first use',
  hub: "the hub's name for it",
  package: 'published with regraft',
} as const

function verifiedText(files: readonly VerifiedFile[]): string {
  const rows = files.map(({ name, commit, path, against, problem }) => [
    inertName(name, 100),
    commit?.slice(0, 12) ?? '',
    inertName(path, 100),
    problem === null ? (against.length > 0 ? 'ok' : 'nothing to compare with') : `WRONG: ${problem}`,
    against.map((each) => witnesses[each]).join(', '),
  ])
  return textTable([['name', 'commit', 'file', 'state', 'compared with'], ...rows], [])
}
