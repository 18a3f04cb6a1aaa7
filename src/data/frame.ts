/** What is cut out of the upright picture, in its pixels, before it is resized to the network's size, and mirrored. */
export interface Frame {
  readonly left: number
  readonly top: number
  readonly width: number
  readonly height: number
  /** Mirrored left to right. */
  readonly flip: boolean
}

/** Chooses a frame once the size of the upright picture is known. */
export type FrameChoice = (imageWidth: number, imageHeight: number) => Frame | undefined
