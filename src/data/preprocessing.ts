import { RegraftError } from '../errors.ts'

/** How a picture becomes the network's input: part of a model, saved with it, the same in training and prediction. */
export interface Preprocessing {
  /** Pixels of the network's input. */
  readonly width: number
  readonly height: number
  /** Which part of the resized picture is kept: the resize aims at size / cropPct. 1 = no border is cut away. */
  readonly cropPct: number
  readonly interpolation: Interpolation
  /** center: short side to size, middle kept. squash: both sides to size. border: long side to size, rest filled. */
  readonly cropMode: CropMode
  /** Per channel R, G, B on the scale 0..1: the input is (byte / 255 - mean) / std. */
  readonly mean: readonly [number, number, number]
  readonly std: readonly [number, number, number]
  /** SHA-256 of the picture that is taken away after that, whose values are among the model's weights; none when absent. */
  readonly meanImage?: string
  /** exact: Pillow's bytes. fast: shrunk by libvips, on photos within 4 of 255 of Pillow, 0.2 to 0.5 in the mean. */
  readonly resize?: Resize
  /** default (also when left out): EXIF upright, ICC to sRGB, alpha over white. timm: alpha dropped, EXIF and ICC ignored. */
  readonly reading?: Reading
}

export type Interpolation = (typeof interpolations)[number]
export type CropMode = (typeof cropModes)[number]
export type Resize = (typeof resizes)[number]
export type Reading = (typeof readings)[number]

export const interpolations = ['bilinear', 'bicubic', 'lanczos', 'nearest'] as const
export const cropModes = ['center', 'squash', 'border'] as const
export const resizes = ['exact', 'fast'] as const
export const readings = ['default', 'timm'] as const

/**
 * What holds when a model does not say how its pictures are resized. On pictures near the network's size exact takes no more time than
 * fast; photos many times that size are decoded two to four times as fast with fast, because a JPEG can be shrunk while it is decoded.
 */
export const defaultResize: Resize = 'exact'

/** What to do to a picture of a given size: resize it, then cut width x height out at (left, top). */
export interface EvalGeometry {
  readonly resizeWidth: number
  readonly resizeHeight: number
  /** Offset of the cut in the resized picture; negative where the picture is smaller and is filled up around it. */
  readonly left: number
  readonly top: number
  readonly width: number
  readonly height: number
}

/** Far beyond any mean and deviation of pixels from 0 to 1, and below those of pixels from 0 to 255 but of the darkest pictures. */
const largestStatistic = 4

/** Refuses a preprocessing that cannot be meant, naming every wrong field. Throws 'usage'. */
export function checkPreprocessing(preprocessing: Preprocessing): void {
  const { width, height, cropPct, interpolation, cropMode, mean, std, meanImage, resize, reading } = preprocessing
  const problems: string[] = []
  const sizeFits = (size: number) => Number.isInteger(size) && size >= 1 && size <= 4096
  if (!sizeFits(width) || !sizeFits(height)) problems.push(`size ${width}x${height}: whole numbers from 1 to 4096`)
  if (!(cropPct >= 0.05 && cropPct <= 2)) problems.push(`crop-pct ${cropPct}: a number from 0.05 to 2`)
  if (!interpolations.includes(interpolation)) {
    problems.push(`interpolation '${interpolation}': one of ${interpolations.join(', ')}`)
  }
  if (!cropModes.includes(cropMode)) problems.push(`crop-mode '${cropMode}': one of ${cropModes.join(', ')}`)
  if (mean.length !== 3 || !mean.every(Number.isFinite)) problems.push(`mean [${mean}]: three numbers`)
  if (std.length !== 3 || !std.every((value) => Number.isFinite(value) && value > 0)) {
    problems.push(`std [${std}]: three numbers above zero`)
  }
  if ([...mean, ...std].some((value) => Math.abs(value) > largestStatistic)) {
    problems.push(`mean [${mean}] and std [${std}] are in units of 0 to 255: divide them by 255`)
  }
  if (meanImage !== undefined && !/^[0-9a-f]{64}$/.test(meanImage)) problems.push('meanImage: a SHA-256')
  if (resize !== undefined && !resizes.includes(resize))
    problems.push(`resize '${resize}': one of ${resizes.join(', ')}`)
  if (reading !== undefined && !readings.includes(reading)) {
    problems.push(`preprocess '${reading}': one of ${readings.join(', ')}`)
  }
  if (problems.length > 0) throw new RegraftError('usage', `The preprocessing is not valid. ${problems.join('; ')}.`)
}

/**
 * Resize and crop as timm's evaluation transform rounds them: short side floor(size / cropPct), long side truncated,
 * crop offset half to even. A picture smaller than the crop is filled up, the odd pixel to the right and bottom.
 * @param imageWidth   pixels of the upright picture
 * @param imageHeight  pixels of the upright picture
 * @see timm/data/transforms_factory.py, transforms_imagenet_eval; torchvision Resize and CenterCrop
 */
export function evalGeometry(imageWidth: number, imageHeight: number, preprocessing: Preprocessing): EvalGeometry {
  const { width, height } = preprocessing
  const [resizeWidth, resizeHeight] = resizedSize(imageWidth, imageHeight, preprocessing)
  return {
    resizeWidth,
    resizeHeight,
    left: cropOffset(resizeWidth, width),
    top: cropOffset(resizeHeight, height),
    width,
    height,
  }
}

/** Rounds to the nearest whole number, halves to the even one, as Python's round. */
export function roundHalfToEven(value: number): number {
  const below = Math.floor(value)
  const rest = value - below
  if (rest !== 0.5) return rest < 0.5 ? below : below + 1
  return below % 2 === 0 ? below : below + 1
}

function resizedSize(imageWidth: number, imageHeight: number, preprocessing: Preprocessing): [number, number] {
  const { cropPct, cropMode } = preprocessing
  const targetWidth = Math.floor(preprocessing.width / cropPct)
  const targetHeight = Math.floor(preprocessing.height / cropPct)
  if (cropMode === 'squash') return [targetWidth, targetHeight]
  if (cropMode === 'center' && targetWidth === targetHeight) {
    if (imageWidth <= imageHeight) return [targetWidth, Math.trunc((targetWidth * imageHeight) / imageWidth)]
    return [Math.trunc((targetHeight * imageWidth) / imageHeight), targetHeight]
  }
  const ratios = [imageHeight / targetHeight, imageWidth / targetWidth]
  const ratio = cropMode === 'border' ? Math.max(...ratios) : Math.min(...ratios)
  // timm rounds a very long picture's short side to nothing and fails; one pixel is kept here.
  const scaled = (size: number) => Math.max(1, roundHalfToEven(size / ratio))
  return [scaled(imageWidth), scaled(imageHeight)]
}

function cropOffset(size: number, crop: number): number {
  if (crop > size) return -Math.floor((crop - size) / 2)
  return roundHalfToEven((size - crop) / 2)
}
