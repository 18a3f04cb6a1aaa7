import { breathing } from '../breath.ts'
import { RegraftError } from '../errors.ts'
import { inertName } from '../inert-text.ts'
import { allFinite } from '../tensor/all-finite.ts'
import type { HostTensor } from '../tensor/host-tensor.ts'

/**
 * @param owner  whose weights they are, to begin a sentence with
 * @throws RegraftError 'weights' naming the tensor, when one holds NaN or infinity
 */
export async function checkFinite(tensors: ReadonlyMap<string, HostTensor>, owner: string): Promise<void> {
  const breath = breathing()
  for (const [name, { data }] of tensors) {
    if (!allFinite(data)) {
      const value = data.find((each) => !Number.isFinite(each))
      throw new RegraftError(
        'weights',
        `${owner} are damaged: '${inertName(name)}' holds ${value}.\nGet the model again, or take another one.`,
        { where: name },
      )
    }
    if (breath.due()) await breath.pause()
  }
}
