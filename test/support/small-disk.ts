/** A file system of its own for the daemon's state, which can be full or read-only. */

import { execFileSync } from 'node:child_process'
import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

interface Place {
  readonly state: string
  later(undo: () => void): void
}

export function smallDiskMissing(): string | undefined {
  return process.getuid?.() === 0 ? undefined : 'root is needed to mount a file system'
}

export function mountSmallDisk({ state, later }: Place, size: string): void {
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=0750`, 'tmpfs', state])
  later(() => void execFileSync('umount', ['--lazy', state]))
}

/** Fills it up; what is returned empties it again. */
export function fill(state: string): () => void {
  const filler = join(state, 'filler')
  const fd = openSync(filler, 'w')
  const block = Buffer.alloc(4096)
  try {
    for (;;) writeSync(fd, block)
  } catch {
    // That was the last block.
  }
  closeSync(fd)
  return () => rmSync(filler, { force: true })
}

/** It is busy as long as a process that has just ended has it open. */
export async function makeReadOnly(state: string): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      remount(state, 'ro')
      return
    } catch (error) {
      if (tries > 50) throw error
      await sleep(2)
    }
  }
}

export function makeWritable(state: string): void {
  remount(state, 'rw')
}

function remount(state: string, how: 'ro' | 'rw'): void {
  execFileSync('mount', ['-o', `remount,${how}`, state], { stdio: 'ignore' })
}
