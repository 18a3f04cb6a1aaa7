// Every name of Python that a PyTorch file may use, and what it stands for. The table is closed and holds data, no
// functions: what is not in it refuses the file, whatever the name is.
import { inertName } from '../inert-text.ts'
import type { DType } from '../tensor/dtype.ts'

/** What an allowed name stands for. */
export type Meaning =
  | { readonly kind: 'ordered-dict' }
  | { readonly kind: 'size' }
  | { readonly kind: 'parameter' }
  /** Version 1 has no backward hooks, version 3 names the element type. */
  | { readonly kind: 'tensor'; readonly version: 1 | 2 | 3 }
  | { readonly kind: 'storage'; readonly dtype: DType }
  | { readonly kind: 'element-type'; readonly dtype: DType }
  /** Harmless and of no use here: it is let pass beside the weights, and is no value of them. */
  | { readonly kind: 'opaque' }

const storages: readonly (readonly [string, DType])[] = [
  ['DoubleStorage', 'F64'],
  ['FloatStorage', 'F32'],
  ['HalfStorage', 'F16'],
  ['BFloat16Storage', 'BF16'],
  ['LongStorage', 'I64'],
  ['IntStorage', 'I32'],
  ['ShortStorage', 'I16'],
  ['CharStorage', 'I8'],
  ['ByteStorage', 'U8'],
  ['BoolStorage', 'BOOL'],
]

const elementTypes: readonly (readonly [string, DType])[] = [
  ['float64', 'F64'],
  ['float32', 'F32'],
  ['float16', 'F16'],
  ['bfloat16', 'BF16'],
  ['int64', 'I64'],
  ['int32', 'I32'],
  ['int16', 'I16'],
  ['int8', 'I8'],
  ['uint64', 'U64'],
  ['uint32', 'U32'],
  ['uint16', 'U16'],
  ['uint8', 'U8'],
  ['bool', 'BOOL'],
]

// What training scripts keep beside the weights: arguments, scores as NumPy scalars, paths, dates.
const opaque: readonly string[] = [
  'argparse Namespace',
  'types SimpleNamespace',
  '_codecs encode',
  'collections defaultdict',
  'collections Counter',
  'collections deque',
  ...['builtins', '__builtin__'].flatMap((module) =>
    [
      'set',
      'frozenset',
      'list',
      'dict',
      'tuple',
      'int',
      'float',
      'str',
      'bool',
      'complex',
      'bytearray',
      'slice',
      'range',
    ].map((name) => `${module} ${name}`),
  ),
  'datetime datetime',
  'datetime date',
  'datetime timedelta',
  ...['pathlib', 'pathlib._local'].flatMap((module) =>
    ['PosixPath', 'WindowsPath', 'PurePosixPath', 'PureWindowsPath', 'Path'].map((name) => `${module} ${name}`),
  ),
  'numpy dtype',
  'numpy ndarray',
  ...['numpy.core.multiarray', 'numpy._core.multiarray'].flatMap((module) =>
    ['scalar', '_reconstruct'].map((name) => `${module} ${name}`),
  ),
  'torch device',
]

const names: ReadonlyMap<string, Meaning> = new Map<string, Meaning>([
  ['collections OrderedDict', { kind: 'ordered-dict' }],
  ['torch Size', { kind: 'size' }],
  ['torch._utils _rebuild_tensor', { kind: 'tensor', version: 1 }],
  ['torch._utils _rebuild_tensor_v2', { kind: 'tensor', version: 2 }],
  ['torch._utils _rebuild_tensor_v3', { kind: 'tensor', version: 3 }],
  ['torch._utils _rebuild_parameter', { kind: 'parameter' }],
  ['torch._utils _rebuild_parameter_with_state', { kind: 'parameter' }],
  ...['torch', 'torch.cuda'].flatMap((module) =>
    storages.map(([name, dtype]) => [`${module} ${name}`, { kind: 'storage', dtype }] as const),
  ),
  ...['torch', 'torch.storage'].map(
    (module) => [`${module} UntypedStorage`, { kind: 'storage', dtype: 'U8' }] as const,
  ),
  ...elementTypes.map(([name, dtype]) => [`torch ${name}`, { kind: 'element-type', dtype }] as const),
  ...opaque.map((name) => [name, { kind: 'opaque' }] as const),
])

/** What a name stands for; undefined refuses it. Module and name are taken to the letter, dots included. */
export function meaningOf(module: string, name: string): Meaning | undefined {
  return names.get(`${module} ${name}`)
}

/** Why a name is refused, and what to do. */
export function refusalOf(module: string, name: string): string {
  const full = inertName(`${module}.${name}`, 200)
  const kind = kinds.find(([pattern]) => pattern.test(`${module}.${name}`))?.[1]
  if (kind !== undefined) return `it holds ${kind} (${full}), which is not supported.`
  const model = module.startsWith('torch.nn.modules.') || name.endsWith('Module') || name.endsWith('Net')
  const what = model ? 'it holds a whole model as an object' : 'it names a class or function of Python'
  return `${what}: ${full}, which is not allowed; weights alone need none of it.\nIf you trust the file, save its weights alone in Python: torch.save(model.state_dict(), 'weights.pth').`
}

const kinds: readonly (readonly [RegExp, string])[] = [
  [/^torch\._utils\._rebuild_qtensor$|^torch(\.cuda)?\.QU?Int\w*Storage$/, 'a quantised tensor'],
  [/^torch\._utils\._rebuild_sparse_\w*tensor$/, 'a sparse tensor'],
  [/^torch\.Complex\w*Storage$|^torch\.complex\d+$/, 'complex numbers'],
  [/^torch\.(F|f)loat8_\w+$/, 'numbers of 8 bits'],
]
