/** What a file really is, whatever its name says. */
export type Content =
  | 'git-lfs-pointer'
  | 'html'
  | 'zeros'
  | 'zip'
  | 'gzip'
  | 'pickle'
  | 'tar'
  | 'hdf5'
  | 'tflite'
  | 'numpy'
  | 'png'
  | 'jpeg'
  | 'pdf'

/**
 * Recognises the files that people really have under a wrong name, by their first bytes.
 * @param start  the beginning of the file, 512 bytes or all of it
 */
export function recogniseContent(start: Uint8Array): Content | undefined {
  const text = Buffer.from(start.subarray(0, 512)).toString('latin1')
  if (text.startsWith('version https://git-lfs.github.com/')) return 'git-lfs-pointer'
  if (/^(\u00ef\u00bb\u00bf)?\s*<(!doctype html|html|head|body|!--)/i.test(text)) return 'html'
  if (text.startsWith('PK\u0003\u0004') || text.startsWith('PK\u0005\u0006')) return 'zip'
  if (text.startsWith('\u001f\u008b')) return 'gzip'
  if (/^\u0080[\u0002-\u0005]/.test(text) && (text[2] === '\u0095' || /^[\u008a}(c\]]/.test(text.slice(2))))
    return 'pickle'
  if (text.slice(257, 262) === 'ustar') return 'tar'
  if (text.startsWith('\u0089HDF\r\n')) return 'hdf5'
  if (text.slice(4, 8) === 'TFL3') return 'tflite'
  if (text.startsWith('\u0093NUMPY')) return 'numpy'
  if (text.startsWith('\u0089PNG')) return 'png'
  if (text.startsWith('\u00ff\u00d8\u00ff')) return 'jpeg'
  if (text.startsWith('%PDF-')) return 'pdf'
  if (start.length >= 8 && start.every((byte) => byte === 0)) return 'zeros'
  return undefined
}

/** The content in words, as the end of "the file is …", with what to do about it. */
export function describeContent(content: Content): string {
  return descriptions[content]
}

const descriptions: Readonly<Record<Content, string>> = {
  'git-lfs-pointer':
    'a Git LFS pointer, not the file itself.\nFetch the real file with `git lfs pull`, or download it again.',
  html: 'an HTML page, probably an error page saved in its place.\nDownload it again and check the address.',
  zeros: 'filled with zeros, as after a crash or a broken download.\nDownload or copy it again.',
  zip: 'a zip archive (PyTorch .pth, .npz or .keras files are zip archives).',
  gzip: 'compressed with gzip.\nUnpack it first.',
  pickle: 'a Python pickle.',
  tar: 'a tar archive.\nUnpack it first.',
  hdf5: 'an HDF5 file (Keras .h5).',
  tflite: 'a TensorFlow Lite model.',
  numpy: 'a NumPy array.',
  png: 'a PNG picture.',
  jpeg: 'a JPEG picture.',
  pdf: 'a PDF document.',
}
