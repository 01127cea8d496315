/**
 * Writes dist/man/ and dist/bash-completion/: run by every build.
 *
 * The prose of a page stands in scripts/manual/, a plugin's at the head of its own file. What can
 * be read from a declaration (commands, options, settings, variables) is put in from there, so the
 * manual cannot fall behind. The date is that of debian/changelog: the same sources give the same
 * pages.
 */

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { clientOptions, controlOptions, daemonOptions } from '../daemon/cli/options.ts'
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
  jsonText,
  optionsText,
  pluginListText,
  settingsText,
  variablesText,
} from './manual-parts.ts'
import { refusalsText } from './manual-refusals.ts'
import { replaceFolder } from './replace.ts'
import { type Language, manPage, type Page } from './roff.ts'

const top = join(import.meta.dirname, '..')
const pluginFolder = join(top, 'daemon/plugins')
const manualFolder = join(import.meta.dirname, 'manual')

/** Below `folder`: man/manN/NAME.N, man/de/manN/NAME.N and bash-completion/NAME. */
export function writeManual(folder: string): void {
  const pages = allPages().map(page => [pageFile(page), manPage(page)] as const)
  replaceFolder(join(folder, 'man'), new Map(pages))
  replaceFolder(join(folder, 'bash-completion'), new Map(Object.entries(completions())))
}

/** Where a page is, below the folder of all manual pages. */
export function pageFile({ name, section, language }: Page): string {
  const file = `man${section}/${name}.${section}`
  return language === 'en' ? file : `${language}/${file}`
}

/** The English pages, and behind them the translated ones. */
export function allPages(): Page[] {
  const { date, source } = release()
  const written = writtenPages('en')
  const ofPlugins = plugins.map(plugin => pluginPage(plugin, written))
  return [...written, ...ofPlugins, ...writtenPages('de')].map(page => ({ ...page, date, source }))
}

type Undated = Omit<Page, 'date' | 'source'>

const MANUALS = {
  en: {
    1: 'User commands',
    5: 'File formats',
    7: 'Policy daemon for Postfix',
    8: 'System administration',
  },
  de: {
    1: 'Benutzerbefehle',
    5: 'Dateiformate',
    7: 'Policy-Dienst für Postfix',
    8: 'Systemverwaltung',
  },
} as const

const PARTS: Readonly<Record<string, (language: Language) => string>> = {
  'mtpolicyd options': () => optionsText(daemonOptions),
  'policyd-client options': () => optionsText(clientOptions),
  'mtpolicyctl options': () => optionsText(controlOptions),
  commands: commandsText,
  'json forms': jsonText,
  variables: variablesText,
  'global options': () => settingsText(globalSettings),
  'options without effect': () => [...withoutMeaning].map(name => `\`${name}\``).join(', '),
  'Sql options': () => settingsText(sqlSettings),
  'Memcached options': () => settingsText(memcachedSettings),
  'Redis options': () => settingsText(redisSettings),
  'Ldap options': () => settingsText(ldapSettings),
  'session options': () => settingsText(sessionSettings),
  plugins: () => pluginListText(plugins),
  refusals: refusalsText,
}

function writtenPages(language: Language): Undated[] {
  const folder = language === 'en' ? manualFolder : join(manualFolder, language)
  return readdirSync(folder)
    .filter(file => file.endsWith('.txt'))
    .map(file => writtenPage(folder, file, language))
}

/** manual/NAME.N.txt, or manual/de/NAME.N.txt; its first line is `NAME - summary`. */
function writtenPage(folder: string, file: string, language: Language): Undated {
  const [, name = '', digit = ''] = /^(.+)\.(\d)\.txt$/.exec(file) ?? []
  const section = Number(digit)
  if (section !== 1 && section !== 5 && section !== 7 && section !== 8) {
    throw new Error(`${file}: expected NAME.SECTION.txt`)
  }
  const source = readFileSync(join(folder, file), 'utf8')
  const [, summary] = /^\S+ - (.+)\n/.exec(source) ?? []
  if (summary === undefined) throw new Error(`${file}: expected a first line "${name} - summary"`)
  const text = source.slice(source.indexOf('\n')).replace(/^\{\{(.+)\}\}/gm, (_, part: string) => {
    const make = PARTS[part]
    if (make === undefined) throw new Error(`${file}: there is no part called "${part}"`)
    return make(language)
  })
  return { name, section, language, summary, manual: MANUALS[language][section], text }
}

/** What the plugin notes in the log line of a verdict. */
function factsText({ facts = {} }: Plugin): string {
  const fields = Object.entries(facts).map(([name, { doc }]) => `: \`${name}\`\n${doc}\n`)
  return fields.length === 0 ? '' : `\n# FIELDS IN THE LOG\n\n${fields.join('\n')}`
}

/** The name of a plugin's page: mtpolicyd-sendinglimit(7). */
export function pageName({ name }: Plugin): string {
  return `mtpolicyd-${name.toLowerCase()}`
}

/** What to read about a plugin besides: the pages that point to its own, and the usual ones. */
function seeAlso(plugin: Plugin, pages: readonly Undated[]): string {
  const pointing = pages.filter(({ text }) =>
    text.slice(text.lastIndexOf('\n# ')).includes(`${pageName(plugin)}(7)`),
  )
  const usual = ['mtpolicyd.conf(5)', 'mtpolicyctl(8)', 'mtpolicyd(8)']
  const names = pointing.map(({ name, section }) => `${name}(${section})`)
  return [...new Set([...names, ...usual])].join(', ')
}

function pluginPage(plugin: Plugin, written: readonly Undated[]): Undated {
  const { title, example, description, differences } = pluginManual(plugin)
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
${factsText(plugin)}${differences === '' ? '' : `\n# DIFFERENCES FROM MTPOLICYD\n\n${differences}\n`}
# SEE ALSO

${seeAlso(plugin, written)}
`
  const manual = 'Plugins of mtpolicyd'
  return { name: pageName(plugin), section: 7, language: 'en', summary: title, manual, text }
}

interface PluginManual {
  readonly title: string
  readonly example: string
  readonly description: string
  /** What the original does otherwise; the last section, if there is anything to say. */
  readonly differences: string
}

const DIFFERENCES = 'Differences from mtpolicyd'

/** The head of a plugin's file, taken apart: `Name - summary.`, its first example, the rest. */
function pluginManual({ name }: Plugin): PluginManual {
  for (const file of readdirSync(pluginFolder).filter(name => name.endsWith('.ts'))) {
    const source = readFileSync(join(pluginFolder, file), 'utf8')
    const comment = /^\/\*\*\n([\s\S]*?)\n \*\//.exec(source)?.[1]?.replace(/^ \* ?/gm, '') ?? ''
    const [, title, summary = '', rest = ''] = /^(\w+) - (.+)\.\n\n([\s\S]+)$/.exec(comment) ?? []
    if (title !== name) continue
    // A list in a comment has dashes: its asterisks are the comment's own.
    const paragraphs = rest.replace(/^- /gm, '* ').split(/\n\n/)
    const [example = ''] = paragraphs.splice(
      paragraphs.findIndex(text => /^ {2}/.test(text)),
      1,
    )
    const end = paragraphs.indexOf(DIFFERENCES)
    const last = end < 0 ? paragraphs.length : end
    return {
      title: summary,
      example,
      description: paragraphs.slice(0, last).join('\n\n'),
      differences: paragraphs.slice(last + 1).join('\n\n'),
    }
  }
  throw new Error(`no file of daemon/plugins begins with "${name} - what it does."`)
}

/** The date of the newest entry of debian/changelog. */
function release(): { date: string; source: string } {
  const changelog = readFileSync(join(top, 'debian/changelog'), 'utf8')
  const [, name, version] = /^(\S+) \(([^)]+)\)/.exec(changelog) ?? []
  const written = /^ -- .*> {2}(.+)$/m.exec(changelog)?.[1]
  if (name === undefined || written === undefined) throw new Error('debian/changelog has no entry')
  return { date: new Date(written).toISOString().slice(0, 10), source: `${name} ${version}` }
}
