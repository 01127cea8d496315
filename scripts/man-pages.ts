/**
 * Writes dist/man/ and dist/bash-completion/: run by every build.
 *
 * The prose of a page stands in scripts/manual/, a plugin's at the head of its own file. What can
 * be read from a declaration (commands, options, settings, variables) is put in from there, so the
 * manual cannot fall behind. The date is that of debian/changelog: the same sources give the same
 * pages.
 */

import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { clientOptions, controlOptions, daemonOptions } from '../daemon/cli/command-table.ts'
import { globalSettings, withoutMeaning } from '../daemon/config/globals.ts'
import {
  ldapSettings,
  memcachedSettings,
  redisSettings,
  sessionSettings,
  sqlSettings,
} from '../daemon/config/services.ts'
import { plugins } from '../daemon/plugins/index.ts'
import type { Plugin } from '../daemon/policy/plugin.ts'
import { completions } from './bash-completion.ts'
import {
  commandsText,
  optionsText,
  pluginListText,
  settingsText,
  variablesText,
} from './manual-parts.ts'
import { manPage, type Page } from './roff.ts'

const top = join(import.meta.dirname, '..')
const pluginFolder = join(top, 'daemon/plugins')
const manualFolder = join(import.meta.dirname, 'manual')

/** Below `folder`: man/manN/NAME.N and bash-completion/NAME. */
export function writeManual(folder: string): void {
  for (const made of ['man', 'bash-completion']) {
    rmSync(join(folder, made), { recursive: true, force: true })
  }
  for (const page of allPages()) {
    const section = join(folder, 'man', `man${page.section}`)
    mkdirSync(section, { recursive: true })
    writeFileSync(join(section, `${page.name}.${page.section}`), manPage(page))
  }
  mkdirSync(join(folder, 'bash-completion'), { recursive: true })
  for (const [program, script] of Object.entries(completions())) {
    writeFileSync(join(folder, 'bash-completion', program), script)
  }
}

export function allPages(): Page[] {
  const { date, source } = release()
  const written = readdirSync(manualFolder).map(file => writtenPage(file))
  return [...written, ...plugins.map(pluginPage)].map(page => ({ ...page, date, source }))
}

type Undated = Omit<Page, 'date' | 'source'>

const MANUALS = {
  1: 'User commands',
  5: 'File formats',
  7: 'Policy daemon for Postfix',
  8: 'System administration',
} as const

const PARTS: Readonly<Record<string, () => string>> = {
  'mtpolicyd options': () => optionsText(daemonOptions),
  'policyd-client options': () => optionsText(clientOptions),
  'mtpolicyctl options': () => optionsText(controlOptions),
  commands: commandsText,
  variables: variablesText,
  'global options': () => settingsText(globalSettings),
  'options without meaning': () => [...withoutMeaning].map(name => `\`${name}\``).join(', '),
  'Sql options': () => settingsText(sqlSettings),
  'Memcached options': () => settingsText(memcachedSettings),
  'Redis options': () => settingsText(redisSettings),
  'Ldap options': () => settingsText(ldapSettings),
  'session options': () => settingsText(sessionSettings),
  plugins: () => pluginListText(plugins),
}

/** manual/NAME.N.txt; its first line is `NAME - summary`. */
function writtenPage(file: string): Undated {
  const [, name = '', digit = ''] = /^(.+)\.(\d)\.txt$/.exec(file) ?? []
  const section = Number(digit)
  if (section !== 1 && section !== 5 && section !== 7 && section !== 8) {
    throw new Error(`${file}: expected NAME.SECTION.txt`)
  }
  const source = readFileSync(join(manualFolder, file), 'utf8')
  const [, summary] = /^\S+ - (.+)\n/.exec(source) ?? []
  if (summary === undefined) throw new Error(`${file}: expected a first line "${name} - summary"`)
  const text = source.slice(source.indexOf('\n')).replace(/^\{\{(.+)\}\}/gm, (_, part: string) => {
    const make = PARTS[part]
    if (make === undefined) throw new Error(`${file}: there is no part called "${part}"`)
    return make()
  })
  return { name, section, summary, manual: MANUALS[section], text }
}

/** The name of a plugin's page: mtpolicyd-sendinglimit(7). */
export function pageName({ name }: Plugin): string {
  return `mtpolicyd-${name.toLowerCase()}`
}

function pluginPage(plugin: Plugin): Undated {
  const { title, example, description } = pluginManual(plugin)
  const settings = settingsText(plugin.settings)
  const nests = plugin.nests
    ? '\n\nMay hold `<Plugin>` blocks. They are a chain of their own, in the order of the file.'
    : ''
  const text = `
# EXAMPLE

${example}

# DESCRIPTION

${description}${nests}

# OPTIONS

${settings}

The options of every plugin (\`module\`, \`name\`, \`on_error\`, \`log_level\`) are in mtpolicyd.conf(5).

# SEE ALSO

mtpolicyd.conf(5), mtpolicyctl(8), mtpolicyd(8)
`
  const manual = 'Plugins of mtpolicyd'
  return { name: pageName(plugin), section: 7, summary: title, manual, text }
}

/** The head of a plugin's file, taken apart: `Name - summary.`, its first example, the rest. */
function pluginManual({ name }: Plugin): { title: string; example: string; description: string } {
  for (const file of readdirSync(pluginFolder)) {
    const source = readFileSync(join(pluginFolder, file), 'utf8')
    const comment = /^\/\*\*\n([\s\S]*?)\n \*\//.exec(source)?.[1]?.replace(/^ \* ?/gm, '') ?? ''
    const [, title, summary = '', rest = ''] = /^(\w+) - (.+)\.\n\n([\s\S]+)$/.exec(comment) ?? []
    if (title !== name) continue
    const paragraphs = rest.split(/\n\n/)
    const [example = ''] = paragraphs.splice(
      paragraphs.findIndex(text => /^ {2}/.test(text)),
      1,
    )
    return { title: summary, example, description: paragraphs.join('\n\n') }
  }
  throw new Error(`no file of daemon/plugins begins with "${name} - what it does."`)
}

/** Of the newest entry of debian/changelog. */
function release(): { date: string; source: string } {
  const changelog = readFileSync(join(top, 'debian/changelog'), 'utf8')
  const [, name, version] = /^(\S+) \(([^)]+)\)/.exec(changelog) ?? []
  const written = /^ -- .*> {2}(.+)$/m.exec(changelog)?.[1]
  if (name === undefined || written === undefined) throw new Error('debian/changelog has no entry')
  return { date: new Date(written).toISOString().slice(0, 10), source: `${name} ${version}` }
}
