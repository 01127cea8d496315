/**
 * Follows the spool from a place on: the files one after the other, frame by frame. What is not whole at the end
 * of a file is waited for in the newest one; an older one is not written any more, so its rest is skipped.
 */

import { READING_BYTES } from './portion.ts'
import { endOfFrame, readFrom, type SpoolPlace, spoolFilesOf } from './spool-files.ts'
import { FILE_HEAD, MAGIC } from './spool-format.ts'

export interface Frames {
  readonly bytes: Buffer
  /** Where each frame begins and ends. */
  readonly frames: readonly { readonly start: number; readonly end: number }[]
  readonly end: SpoolPlace
  /** Something other than a whole frame was skipped. */
  readonly isDamaged: boolean
}

/** The next frames after a place; undefined: there are none yet. Throws the system's errors. */
export function nextFrames(path: string, after: SpoolPlace): Frames | undefined {
  const files = spoolFilesOf(path)
  const at = files.findIndex(({ number }) => number >= after.file)
  const file = files[at]
  if (!file) return undefined
  const offset = file.number === after.file ? Math.max(after.offset, FILE_HEAD) : FILE_HEAD
  const isLast = at === files.length - 1
  const isOurs = offset > FILE_HEAD || readFrom(file.path, 0, MAGIC.length).equals(MAGIC)
  const bytes = isOurs ? readFrom(file.path, offset, READING_BYTES) : Buffer.alloc(0)
  const frames: { start: number; end: number }[] = []
  let end = 0
  for (let next = endOfFrame(bytes, 0); next !== undefined; next = endOfFrame(bytes, end)) {
    frames.push({ start: end, end: next })
    end = next
  }
  if (frames.length > 0) {
    const held = bytes.subarray(0, end)
    return {
      bytes: held,
      frames,
      end: { file: file.number, offset: offset + end },
      isDamaged: false,
    }
  }
  const following = files[at + 1]
  if (isLast || !following) return undefined
  const place = { file: following.number, offset: FILE_HEAD }
  // The beginning of a frame is what a kill leaves behind; nothing that was answered is in it.
  return { bytes, frames, end: place, isDamaged: bytes.length > 0 && !isCutOff(bytes) }
}

/** Is it a frame whose end is missing? */
function isCutOff(bytes: Buffer): boolean {
  return bytes.length < 8 || bytes.length < 8 + bytes.readUInt32LE(0)
}
