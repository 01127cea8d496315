/**
 * Debian's package of the original, to be read: its configuration and its manual. They are under
 * the GPL, so nothing of their text is kept here. Where the package is not installed it is fetched
 * with apt and unpacked, never installed: that would start its daemon.
 */

import { execFileSync } from 'node:child_process'
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const CONFIGURATION = 'etc/mtpolicyd/mtpolicyd.conf'
const MANUALS = ['usr/bin/mtpolicyd', 'usr/share/perl5/Mail/MtPolicyd/**/*.{pm,pod}']

export interface OriginalPackage {
  readonly configuration: string
  /** Its manual's pieces of configuration. */
  readonly examples: readonly Example[]
}

export interface Example {
  /** File and heading, and which one there if there are several. */
  readonly where: string
  readonly text: string
}

/** The package, or why it cannot be had. */
export function originalPackage(): OriginalPackage | string {
  if (existsSync(join('/', CONFIGURATION))) return readBelow('/')
  const folder = mkdtempSync(join(tmpdir(), 'original-'))
  try {
    execFileSync('apt-get', ['download', '-qq', 'mtpolicyd'], { cwd: folder, stdio: 'pipe' })
    const [file = ''] = globSync('*.deb', { cwd: folder })
    execFileSync('dpkg-deb', ['-x', file, folder], { cwd: folder, stdio: 'pipe' })
    return readBelow(folder)
  } catch (error) {
    const said = error instanceof Error && 'stderr' in error ? error.stderr : error
    return `Debian's package mtpolicyd is neither installed nor to be had: ${said}`.trim()
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function readBelow(root: string): OriginalPackage {
  return {
    configuration: readFileSync(join(root, CONFIGURATION), 'utf8'),
    examples: globSync(MANUALS, { cwd: root })
      .toSorted()
      .flatMap(path => examplesOf(path.replace(/.*MtPolicyd\//, ''), join(root, path))),
  }
}

/**
 * The indented paragraphs of a POD (perlpod(1)) that hold a whole block of configuration. Those
 * that follow each other without words between them are one.
 */
function examplesOf(name: string, path: string): Example[] {
  const found: Example[] = []
  let heading = ''
  let isManual = false
  let lines: string[] = []
  function end(): void {
    const text = lines.join('\n')
    lines = []
    if (!/^\s*<(\w+)(?: [^>]*)?>$[\s\S]*^\s*<\/\1>$/m.test(text)) return
    const nth = found.filter(({ where }) => where.startsWith(`${name}: ${heading}`)).length
    found.push({ where: `${name}: ${heading}${nth > 0 ? ` (${nth + 1})` : ''}`, text })
  }
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    const command = /^=(\w+) ?(.*)/.exec(line)
    if (command) {
      end()
      isManual = command[1] !== 'cut'
      if (/^(?:head\d|item)$/.test(command[1] ?? '')) heading = command[2] ?? ''
    } else if (isManual && /^(?:\s|$)/.test(line)) lines.push(line)
    else end()
  }
  return found
}
