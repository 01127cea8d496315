/**
 * The programs: for each one the file that starts it, and a CommonJS bundle, which start.cjs runs.
 * Libraries that few configurations need have files of their own, which are loaded on demand.
 */

import { basename, join } from 'node:path'
import { type BuildOptions, build, type OutputFile, type Plugin } from 'esbuild'

/** Packages that the sources load with import(). */
const LIBRARIES = ['iovalkey', 'ldapts', 'mysql2', 'pg', 'pino']

const common: BuildOptions = {
  bundle: true,
  format: 'cjs',
  platform: 'node',
  target: 'node24',
  outExtension: { '.js': '.cjs' },
  logLevel: 'warning',
}

/** import() of a library becomes require() of its file, which is beside each program. */
const librariesApart: Plugin = {
  name: 'libraries apart',
  setup({ onLoad, onResolve }) {
    const filter = new RegExp(`^(?:${LIBRARIES.join('|')})$`)
    onResolve({ filter }, ({ path, kind }) =>
      kind === 'dynamic-import' ? { path, namespace: 'library' } : undefined,
    )
    onResolve({ filter: /^\.\/libraries\//, namespace: 'library' }, ({ path }) => ({
      path,
      external: true,
    }))
    onLoad({ filter: /./, namespace: 'library' }, ({ path }) => ({
      contents: `module.exports = require('./libraries/${path}.cjs')`,
    }))
  },
}

/** Node modules that are slow to load and that most starts do not need. */
const RARE = ['dgram', 'fs/promises', 'readline', 'timers/promises', 'tls', 'zlib']

/** What the sources import from them is looked up when it is used. */
const rareLate: Plugin = {
  name: 'rare modules late',
  setup({ onLoad, onResolve }) {
    const filter = new RegExp(`^node:(?:${RARE.join('|')})$`)
    onResolve({ filter }, ({ path, kind }) =>
      kind === 'import-statement' ? { path, namespace: 'late' } : undefined,
    )
    onLoad({ filter: /./, namespace: 'late' }, ({ path }) => {
      const names = Object.keys(process.getBuiltinModule(path) ?? {})
      const lines = [
        'let loaded',
        `const late = () => (loaded ??= require('${path}'))`,
        `module.exports = { ${names.map(name => `get ${name}() { return late().${name} }`)} }`,
      ]
      return { contents: lines.join('\n') }
    })
  },
}

/** @param programs their names, and their entry files. */
export async function bundle(
  top: string,
  dist: string,
  programs: Readonly<Record<string, string>>,
): Promise<Pick<OutputFile, 'path' | 'contents'>[]> {
  const apart = await build({
    ...common,
    absWorkingDir: top,
    entryPoints: LIBRARIES,
    outdir: join(dist, 'libraries'),
    write: false,
  })
  const bundles = await build({
    ...common,
    absWorkingDir: top,
    entryPoints: programs,
    outdir: dist,
    entryNames: '[name]-[hash]',
    assetNames: '[name]',
    alias: {
      'better-sqlite3': 'better-sqlite3/linux-x64',
      // maxmind's own additions are not used, and load a good part of Node.
      maxmind: 'mmdb-lib',
    },
    loader: { '.node': 'copy' },
    define: {
      'import.meta.url': '__filename',
      'import.meta.dirname': '__dirname',
      'import.meta.main': 'false',
    },
    banner: { js: '(function (require, __filename, __dirname) {' },
    footer: { js: '})' },
    plugins: [librariesApart, rareLate],
    write: false,
  })
  const starts = Object.keys(programs).map(name => {
    const own = bundles.outputFiles.map(({ path }) => basename(path)).find(isBundleOf(name))
    const text = `module.exports = require('./start.cjs')('${own}')\n`
    return { path: join(dist, `${name}.cjs`), contents: Buffer.from(text) }
  })
  return [...apart.outputFiles, ...bundles.outputFiles, ...starts]
}

function isBundleOf(program: string): (file: string) => boolean {
  return file => file.startsWith(`${program}-`) && /-[A-Z0-9]{8}\.cjs$/.test(file)
}
