/**
 * The web console's page: one script, one style sheet, and the HTML that names them. Script and style have the
 * hash of their content in their names, so that a browser may keep them for ever; beside each file is one that
 * is compressed already.
 */

import { readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { type BuildOptions, build } from 'esbuild'

/** Browsers with light-dark() and <dialog>: of the spring of 2024 and younger. */
const BROWSERS = ['chrome123', 'firefox120', 'safari17.5']

const common: BuildOptions = {
  bundle: true,
  minify: true,
  format: 'esm',
  target: BROWSERS,
  jsx: 'automatic',
  jsxImportSource: 'preact',
  legalComments: 'none',
  entryNames: '[name]-[hash]',
  outdir: 'web',
  write: false,
  logLevel: 'warning',
}

/** Contents by the names of the files in dist/web/. */
export async function bundlePage(top: string): Promise<ReadonlyMap<string, string | Uint8Array>> {
  const source = join(top, 'daemon/web/page')
  const { outputFiles = [] } = await build({
    ...common,
    absWorkingDir: top,
    entryPoints: {
      console: join(source, 'main.tsx'),
      style: join(source, 'style/style.css'),
    },
  })
  const files = new Map<string, Uint8Array>(
    outputFiles.map(({ path, contents }) => [basename(path), contents]),
  )
  const nameOf = (ending: string): string => {
    const name = [...files.keys()].find(one => one.endsWith(ending))
    if (name === undefined) throw new Error(`the page has no ${ending}`)
    return name
  }
  const html = readFileSync(join(source, 'index.html'), 'utf8')
    .replace('SCRIPT', nameOf('.js'))
    .replace('STYLE', nameOf('.css'))
  files.set('index.html', Buffer.from(html))
  files.set('icon.svg', readFileSync(join(source, 'icon.svg')))
  const compressed = [...files].map(([name, content]): [string, Uint8Array] => [
    `${name}.gz`,
    gzipSync(content, { level: 9 }),
  ])
  return new Map([...files, ...compressed])
}
