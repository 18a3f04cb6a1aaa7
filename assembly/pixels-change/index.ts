// Changes of a small RGB picture that lies in memory, in a worker of its own: what augmentations are made of. The picture is
// u8[height, width, 3]; each kernel changes it in place, and works in the places behind it that places.ts names.
export { radiusOf } from './gaussian'
export { changeBytes } from './places'
export { flipHorizontally, flipVertically, fillBox } from './boxes'
export { affine } from './affine'
export { elastic } from './elastic'
export { autocontrast, brightness, contrast, equalize, invert, posterize, solarize } from './tables'
export { grayscale, hue, saturation } from './colours'
export { blur, sharpness } from './neighbours'
export { noise } from './noise'
export { mixAdd, mixFinish, mixRestart, mixStart } from './mix'
