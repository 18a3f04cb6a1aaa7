// The part of WebAssembly's interface that is used here; Node's types leave it to the browser's.
declare namespace WebAssembly {
  class Module {
    constructor(bytes: BufferSource)
  }
  class Memory {
    constructor(descriptor: { initial: number; maximum: number; shared: boolean })
    readonly buffer: SharedArrayBuffer
    grow(pages: number): number
  }
  function validate(bytes: BufferSource): boolean
}
type BufferSource = ArrayBufferView | ArrayBuffer
