// Options that several commands have.
import { choice, number, onOff, text, wholeNumber } from './values.ts'

/** Options of every command. */
export const generalSettings = {
  quiet: onOff({ group: 'General', short: '-q', help: 'say nothing but errors' }),
  events: text('<file>', { group: 'General', help: 'append all progress to a file, as JSON lines' }),
  config: text('<file>', { group: 'General', help: 'read options from a YAML or JSON file' }),
  offline: onOff({ group: 'General', help: 'fetch nothing: models of the hub only from the cache' }),
}

export const json = onOff({ group: 'Output', help: 'print one JSON document on stdout' })
export const overwrite = onOff({ group: 'Output', help: 'use the folder even when it is not empty' })
export const strict = onOff({ group: 'Data', help: 'exit with 7 when any input failed' })
export const batchSize = wholeNumber(
  { from: 1, to: 65_536 },
  { group: 'Machine', help: 'pictures computed at a time; never changes results' },
)

export const onError = choice(['skip', 'stop'], {
  group: 'Data',
  help: 'a picture that cannot be read is left out, or ends the work',
  fallback: 'skip',
})

export const groupBy = text('<column|regex>', {
  group: 'Data',
  help: 'what is never divided: a column of the manifest, or an expression on paths',
})
export const dedupe = onOff({ group: 'Data', help: 'leave out copies of pictures, and all of those with two labels' })

export const preprocessing = {
  imgSize: wholeNumber(
    { from: 1, to: 16_384 },
    { group: 'Pictures', help: 'side of the input in pixels', fallback: "the model's" },
  ),
  cropPct: number(
    { from: 0, above: true, to: 1 },
    { group: 'Pictures', help: 'share of the picture that is kept; 1 = no border', fallback: "the model's" },
  ),
  interpolation: choice(['bilinear', 'bicubic', 'lanczos', 'nearest'], {
    group: 'Pictures',
    help: 'how pictures are resized',
    fallback: "the model's",
  }),
  cropMode: choice(['center', 'squash', 'border'], {
    group: 'Pictures',
    help: 'how pictures become square',
    fallback: "the model's",
  }),
  resize: choice(['exact', 'fast'], {
    group: 'Pictures',
    help: 'the bytes that Pillow gives, or libvips for photos far larger than the input',
    fallback: "the model's, else exact",
  }),
  preprocess: choice(['default', 'timm'], {
    group: 'Pictures',
    help: 'upright, in sRGB, alpha over white; or as timm reads: alpha dropped, EXIF and ICC ignored',
    fallback: "the model's, else default",
  }),
}

/** Reading paths from stdin. */
export const nulls = onOff({
  group: 'Data',
  short: '-0',
  help: 'paths on stdin end with a NUL byte, as from find -print0',
})

/** What is done to vectors once all are there. */
export const finishing = {
  pca: wholeNumber({ from: 1, to: 4096 }, { group: 'Output', help: 'keep this many principal components' }),
  whiten: onOff({ group: 'Output', help: 'divide each component by its standard deviation (with --pca)' }),
  l2Normalize: onOff({ group: 'Output', help: 'scale each vector to length 1, after all else' }),
}

/** Where the network of a lone head is. */
export const backbone = text('<model>', {
  group: 'Model',
  help: 'the network of a head that was trained on vectors alone (regraft head)',
})
