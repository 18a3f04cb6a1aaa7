import * as path from 'node:path'
import { RegraftError } from '../../errors.ts'
import { inertName } from '../../inert-text.ts'
import { defineCommand } from '../command.ts'
import { jsonText } from '../format.ts'
import { json, overwrite } from '../shared-settings.ts'
import { choice, text } from '../values.ts'

/** `export MODEL`: the model for other programs. */
export const exporting = defineCommand({
  name: 'export',
  summary: 'write a model for elsewhere',
  description:
    'Writes a folder: the model in the wanted format, config.json with labels and preprocessing, and golden.safetensors with ' +
    'inputs and outputs to test a runtime with. What was written is read back and compared with the model before it is left there.\n' +
    'The ONNX model (opset 17) takes normalised pictures [N, 3, H, W] and gives logits; the safetensors folder opens in timm; ' +
    'the layers model of TensorFlow.js takes [N, H, W, 3], and is written for networks whose layers tfjs-layers has (no convolutions in ' +
    'groups, no shuffled channels, no attention).',
  arguments: [{ name: 'model', help: 'a model folder, a run folder, a weight file, the name of a model' }],
  examples: ['regraft export runs/flowers-1', 'regraft export runs/flowers-1 --format safetensors --dtype float16'],
  settings: {
    format: choice(['onnx', 'safetensors', 'tfjs'], { group: 'Output', help: 'of the model', fallback: 'onnx' }),
    dtype: choice(['float32', 'float16'], {
      group: 'Output',
      help: 'element type of the weights in safetensors',
      fallback: 'float32',
    }),
    out: text('<dir>', { group: 'Output', help: 'folder to write', fallback: '<model>-<format>' }),
    overwrite,
    json,
  },

  async run({ format = 'onnx', out, dtype, json, overwrite }, [model = ''], work) {
    if (dtype === 'float16' && format !== 'safetensors')
      throw new RegraftError('usage', '--dtype float16 has a meaning only with --format safetensors.')
    const target = out ?? `${path.parse(path.resolve(model)).name}-${format}`
    const options = { ...work.options(), format, out: target, ...(dtype && { dtype }), ...(overwrite && { overwrite }) }
    const result = await work.verbs.exportModel(model, options)
    if (json) await work.output.write(`${jsonText(result, 2)}\n`)
    work.say(
      `${inertName(target)}: ${result.files.join(', ')}; read back, its outputs are within ${result.difference.toExponential(1)} of the model's.`,
    )
    return 0
  },
})
