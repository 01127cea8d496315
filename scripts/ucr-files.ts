/**
 * UCR's description of our variables, generated from their declarations:
 * debian/ucr/variables/*.cfg.
 *
 * UCR has no types for countries or limits, so our own types are described as text with a pattern.
 * The pattern rejects what cannot be valid and accepts everything that is. What it cannot know (is
 * XX a country, is this a time zone) is checked by the daemon when the hook renders. `node
 * scripts/ucr-files.ts` writes the file; a test checks that it is up to date.
 */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { declarations, type Variable } from '../daemon/registry/variables.ts'

export const UCR_DESCRIPTIONS = join(
  import.meta.dirname,
  '../debian/ucr/variables/univention-mtpolicyd.cfg',
)

/** Types that mean the same in UCR; Min and Max go with them. */
const SHARED_TYPES = ['str', 'int', 'uint', 'pint', 'portnumber', 'bool']

/** UCR anchors the start only. */
const PATTERNS: ReadonlyMap<string, string> = new Map([
  ['countries', String.raw`^\s*(\*|[A-Za-z]{2}(\s*,\s*[A-Za-z]{2})*)\s*$`],
  ['limit', String.raw`^\s*([+-]?0+|\+?0*([0-9]{1,9}|10{9})|${anyCase('unlimited')})\s*$`],
  ['host', String.raw`^\s*\[?[A-Za-z0-9_.:-]+\]?\s*$`],
  ['timezone', String.raw`^\s*[A-Za-z0-9_+/:-]*\s*$`],
  ['networks', String.raw`^[0-9A-Fa-f.:/,\s]*$`],
  ['domain', String.raw`^\s*@?[A-Za-z0-9_.-]*\s*$`],
  ['path', String.raw`^\s*(/.*)?$`],
  ['addresses', String.raw`^[^"'()<>;:/*\\]*$`],
  ['mailaddress', String.raw`^[^"'()<>,;:/*\\]*$`],
  ['webaddress', String.raw`^\s*([Hh][Tt][Tt][Pp][Ss]?://[^\s"'#<>*\\]+)?\s*$`],
  // May be empty, which UCR's own type may not.
  ['portnumber', String.raw`^\s*\+?[0-9]+\s*$`],
  ['hostorpath', String.raw`^\s*(\[?[A-Za-z0-9_.:-]+\]?\s*|/.*)$`],
  ['webpath', String.raw`^\s*(/[A-Za-z0-9_.~-]+)*/*\s*$`],
  ['hostnames', String.raw`^[A-Za-z0-9_.,\s-]*$`],
  ['maillog', String.raw`^\s*((${['auto', 'none', 'journal'].map(anyCase).join('|')})\s*|/.*)?$`],
])

/** Both programs accept these without a flag. */
function anyCase(word: string): string {
  return word.replace(/[a-z]/g, letter => `[${letter.toUpperCase()}${letter}]`)
}

function patternOf(variable: Variable): string {
  const pattern = valuePattern(variable)
  return variable.emptyMeans === undefined ? pattern : String.raw`^\s*$|${pattern}`
}

function valuePattern({ type, choices = [] }: Variable): string {
  if (type === 'choice') return String.raw`^\s*(${choices.map(anyCase).join('|')})\s*$`
  const pattern = PATTERNS.get(type)
  if (pattern === undefined) throw new Error(`UCR has no type for ${type}`)
  return pattern
}

function section(variable: Variable): string {
  const { name, type, description, categories } = variable
  // What may be empty is a text there.
  const isShared = SHARED_TYPES.includes(type) && variable.emptyMeans === undefined
  const { min, max } = isShared ? variable : {}
  const fields = [
    ['Description[de]', description.de ?? description.en],
    ['Description[en]', description.en],
    ['Type', isShared ? type : 'str'],
    ['Regex', isShared ? variable.regex : patternOf(variable)],
    ['Min', min],
    ['Max', max],
    ['Default', variable.default],
    ['Categories', categories],
  ]
  const lines = fields.filter(([, value]) => value).map(([key, value]) => `${key}=${value}`)
  return [`[${name}]`, ...lines, ''].join('\n')
}

/** A variable of the service, not of the daemon: only UCS uses variables for that. */
const AUTOSTART: Variable = {
  name: 'mtpolicyd/autostart',
  type: 'choice',
  choices: ['yes', 'no', 'manually', 'true', 'false'],
  default: '',
  description: {
    en: 'Whether the daemon is started with the server: yes, manually, or no (it cannot be started at all).',
    de: 'Ob der Dienst beim Start des Servers gestartet wird: yes, manually, oder no (er kann gar nicht gestartet werden).',
  },
  categories: 'service-mail',
}

export function ucrDescriptions(): string {
  return [...declarations, AUTOSTART].map(section).join('\n')
}

if (import.meta.main) writeFileSync(UCR_DESCRIPTIONS, ucrDescriptions())
