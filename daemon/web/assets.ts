/**
 * The files of the page, from dist/web/: read once at the start, so a path in a request is a key of a table
 * and never a path of the disk. `NAME.gz` is NAME, compressed when the package was built.
 */

import { readdirSync, readFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { hashOf } from './secret.ts'

/** More are not served. */
const MOST_FILES = 100
const MOST_FILE_BYTES = 2 * 1024 * 1024
/** esbuild's hash in a name: such a file never changes. */
const HASHED = /-[A-Z0-9]{8}\.\w+$/
const A_YEAR = 'public, max-age=31536000, immutable'

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.webmanifest': 'application/manifest+json',
  '.txt': 'text/plain; charset=utf-8',
}

interface Asset {
  readonly plain: Buffer
  readonly gzip: Buffer | undefined
  readonly headers: Readonly<Record<string, string>>
}

export interface AssetAnswer {
  readonly status: 200 | 304
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

const NOTHING = Buffer.alloc(0)

export class Assets {
  readonly #byPath: ReadonlyMap<string, Asset>

  /** A folder that does not exist has no files. */
  constructor(folder: string) {
    this.#byPath = new Map(
      filesOf(folder).map(name => [`/${name}`, assetOf(folder, name)] as const),
    )
  }

  /**
   * @param path below the prefix; `/` is the page.
   * @param accepted the browser's Accept-Encoding.
   * @param known its If-None-Match.
   */
  find(path: string, accepted = '', known = ''): AssetAnswer | undefined {
    const asset = this.#byPath.get(path === '/' ? '/index.html' : path)
    if (!asset) return undefined
    const { headers, plain, gzip } = asset
    if (isKnown(known, headers.etag ?? '')) return { status: 304, headers, body: NOTHING }
    if (!gzip || !/\bgzip\b(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))/i.test(accepted))
      return { status: 200, headers, body: plain }
    return { status: 200, headers: { ...headers, 'content-encoding': 'gzip' }, body: gzip }
  }
}

/**
 * RFC 9110, 13.1.2: a list, compared weakly. A proxy that compresses what it passes on makes the tag weak (nginx)
 * or adds how to it (Apache, Caddy), and does not take that away again.
 */
function isKnown(list: string, own: string): boolean {
  const bare = (tag: string): string =>
    tag
      .trim()
      .replace(/^W\//, '')
      .replace(/[-;/](?:gzip|deflate|br|zstd)"$/, '"')
  const tags = list.split(',').map(bare)
  return tags.includes(bare(own)) || tags.includes('*')
}

function filesOf(folder: string): readonly string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter(entry => entry.isFile() && extname(entry.name) in TYPES)
      .map(({ name }) => name)
      .slice(0, MOST_FILES)
  } catch {
    return []
  }
}

function assetOf(folder: string, name: string): Asset {
  const plain = read(join(folder, name)) ?? NOTHING
  return {
    plain,
    gzip: read(join(folder, `${name}.gz`)),
    headers: {
      'content-type': TYPES[extname(name)] ?? 'application/octet-stream',
      'cache-control': HASHED.test(name) ? A_YEAR : 'no-cache',
      vary: 'accept-encoding',
      // The same plain and compressed, so a weak one.
      etag: `W/"${hashOf(plain.toString('latin1')).slice(0, 16)}"`,
    },
  }
}

function read(path: string): Buffer | undefined {
  try {
    const content = readFileSync(path)
    return content.length > MOST_FILE_BYTES ? undefined : content
  } catch {
    return undefined
  }
}
