/** A file system of its own for the daemon's state, which can be full or read-only. */

import { execFileSync } from 'node:child_process'
import type { Scene } from './fault.ts'

export function smallDiskMissing(): string | undefined {
  return process.getuid?.() === 0 ? undefined : 'root is needed to mount a file system'
}

export function mountSmallDisk({ state, later }: Scene, size: string): void {
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=0750`, 'tmpfs', state])
  later(() => void execFileSync('umount', ['--lazy', state]))
}

export function remount(state: string, how: 'ro' | 'rw'): void {
  execFileSync('mount', ['-o', `remount,${how}`, state], { stdio: 'ignore' })
}
