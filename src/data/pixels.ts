/** Pixels of a picture: rows of `channels` bytes. */
export interface Pixels {
  readonly bytes: Uint8Array
  readonly width: number
  readonly height: number
  readonly channels: 3 | 4
}

/** A rectangle in pixels. */
export interface Box {
  readonly left: number
  readonly top: number
  readonly width: number
  readonly height: number
}
