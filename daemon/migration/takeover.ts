/**
 * Takes over what Debian's mtpolicyd leaves behind: its configuration and its counters.
 *
 * Everything is copied, so that nothing is missed when that package is purged; the original files
 * are never changed. The copy of the configuration names the copies: databases below
 * /var/lib/mtpolicyd, other databases with acct_* tables, and files of /etc/mtpolicyd. Our own loader
 * judges it. A copy that it would refuse is kept beside and not used; a policy that lost a part on
 * the way protects nobody. The file beside is also the record: what has been taken over once is
 * never taken over again.
 */

import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import type { Paths } from '../assembly/paths.ts'
import { configFiles } from '../config/files.ts'
import { parseConfig } from '../config/parser.ts'
import type { Endpoint } from '../net/endpoint.ts'
import type { Problem } from '../policy/problem.ts'
import { makeStateFolder } from '../system/daemon-user.ts'
import { plainText } from '../text/plain-text.ts'
import { type CopiedFile, copyNamed, folderFor, put, Undo } from './copy.ts'
import { type Inventory, takeInventory } from './inventory.ts'
import { below, CONFIG, isInside, keptFolder } from './original.ts'
import { type Outcome, outcomeOf } from './outcome.ts'
import { type Changes, rewrite } from './rewrite.ts'

const NOTE = `# Copied from ${CONFIG} when univention-mtpolicyd was installed.
# While this file is in use, host variables have no effect.
# To use them instead: mtpolicyctl commit --force-template
`

export interface Takeover {
  readonly outcome: Outcome
  readonly from: string
  /** The copy with its paths rewritten. */
  readonly kept: string
  readonly files: readonly CopiedFile[]
  readonly problems: readonly Problem[]
  /** Where Postfix may be querying the original. */
  readonly endpoints: readonly Endpoint[]
}

export interface TakeoverOptions {
  readonly paths: Paths
  /** Has the configuration, whose text this is, been changed since its package brought it? */
  isChanged(text: string): Promise<boolean>
  /** What our loader says of a text as if it stood in the file. */
  check(file: string, text: string): Promise<readonly Problem[]>
  /** Is this text of our configuration one that we rendered? */
  isGenerated(text: string): boolean
}

/** Throws if something cannot be read or written; then everything is as it was before. */
export async function takeOver(options: TakeoverOptions): Promise<Takeover> {
  const { paths } = options
  const from = below(paths, CONFIG)
  const kept = `${paths.config}.from-mtpolicyd`
  const nothing = { from, kept, files: [], problems: [], endpoints: [] }
  if (existsSync(kept)) return { ...nothing, outcome: { kind: 'before' } }
  if (!existsSync(from)) return { ...nothing, outcome: { kind: 'none' } }

  const undo = new Undo()
  try {
    return await copyAll(options, from, kept, undo)
  } catch (error) {
    // So that it can be tried again.
    undo.run()
    throw error
  }
}

async function copyAll(
  options: TakeoverOptions,
  from: string,
  kept: string,
  undo: Undo,
): Promise<Takeover> {
  const { paths } = options
  const parsed = parseConfig(from, configFiles)
  const inventory = takeInventory(parsed)
  const original = readFileSync(from, 'utf8')
  // As the parser reads them: places count in these texts.
  const texts = new Map(
    [from, ...parsed.files].map(file => [file, plainText(readFileSync(file, 'utf8'))]),
  )
  folderFor(paths.state, undo, () => makeStateFolder(paths.root, paths.state))
  const files = copyNamed(paths, inventory.mentions, path => texts.has(path), undo)
  const changes = changesFor(paths, from, inventory, files)
  for (const [file, text] of texts) {
    if (file === from || !isInside(dirname(from), file)) continue
    const to = join(keptFolder(paths), relative(dirname(from), file))
    put(to, rewrite(file, text, changes), file, paths, undo)
  }
  const text = NOTE + rewrite(from, plainText(original), changes)
  const problems = await options.check(kept, text)
  const outcome = outcomeOf({
    isChanged: await options.isChanged(original),
    ownConfiguration: hasOwnConfiguration(options) ? paths.config : undefined,
    problems,
    endpoints: inventory.endpoints,
  })
  if (outcome.kind === 'used') put(paths.config, text, from, paths, undo)
  // Last: from here on it has been done.
  put(kept, text, from, paths, undo)
  return { outcome, from, kept, files, problems, endpoints: inventory.endpoints }
}

function hasOwnConfiguration({ paths, isGenerated }: TakeoverOptions): boolean {
  return existsSync(paths.config) && !isGenerated(readFileSync(paths.config, 'utf8'))
}

/** The copies' paths, and none of what this daemon's unit would not let it write. */
function changesFor(
  paths: Paths,
  from: string,
  { mentions, includes, ownFiles }: Inventory,
  files: readonly CopiedFile[],
): Changes {
  const copies = new Map(files.map(file => [file.from, file.to]))
  const folder = keptFolder(paths)
  return {
    mentions,
    includes,
    removed: ownFiles,
    replacement: path => copies.get(path),
    includedFrom(path) {
      if (!path.startsWith('/')) return join(folder, path)
      const here = below(paths, path)
      return isInside(dirname(from), here) ? join(folder, relative(dirname(from), here)) : here
    },
  }
}
