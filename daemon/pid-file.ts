/**
 * The process id in a file, for those who ask for it with `pid_file`. A file that names another
 * daemon stops a second start; one that was left behind is replaced, whoever has that number now.
 * It may lie in a folder where others write, so nothing that is there is followed or written into.
 */

import { lstatSync, readFileSync, rmSync, writeFileSync } from 'node:fs'

/** Returns how to give it up again. Throws if another process has it, or it cannot be written. */
export function claimPidFile(path: string): () => void {
  const other = livingOwner(path)
  if (other !== undefined) throw new Error(`${path}: another daemon runs as process ${other}`)
  // A new file: what a link of somebody else's points to is not ours to overwrite.
  if (lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === false) rmSync(path)
  writeFileSync(path, `${process.pid}\n`, { flag: 'wx', mode: 0o644 })
  return () => {
    if (livingOwner(path) === undefined) rmSync(path, { force: true })
  }
}

/** The daemon in the file, if it lives and is not ourselves. */
function livingOwner(path: string): number | undefined {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
  const pid = Number.parseInt(text, 10)
  if (!(pid > 0) || pid === process.pid) return undefined
  try {
    // Empty where it is another user's and hidden from us, or no program at all.
    const isDaemon = readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('mtpolicyd')
    return isDaemon ? pid : undefined
  } catch {
    return undefined
  }
}
