/**
 * UCR's description of our variables, drawn from their declarations: debian/ucr/variables/*.cfg.
 *
 * UCR knows neither countries nor limits, so our own types are given to it as text with a pattern.
 * The pattern refuses what cannot be right and never what is; what it cannot know (is XX a country,
 * is this a time zone) the daemon's own check says when the hook renders. `node scripts/ucr-files.ts`
 * writes the file; a test holds that it is current.
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

/** UCR matches from the start and leaves the end open. */
const PATTERNS: ReadonlyMap<string, string> = new Map([
  ['countries', String.raw`^\s*(\*|[A-Za-z]{2}(\s*,\s*[A-Za-z]{2})*)\s*$`],
  ['limit', String.raw`^\s*([+-]?0+|\+?0*([0-9]{1,9}|10{9})|${anyCase('unlimited')})\s*$`],
  ['host', String.raw`^\s*\[?[A-Za-z0-9_.:-]+\]?\s*$`],
  ['timezone', String.raw`^\s*[A-Za-z0-9_+/:-]*\s*$`],
  ['networks', String.raw`^[0-9A-Fa-f.:/,\s]*$`],
  ['domain', String.raw`^\s*@?[A-Za-z0-9_.-]*\s*$`],
  ['path', String.raw`^\s*(/.*)?$`],
])

/** Both readers know this without a flag. */
function anyCase(word: string): string {
  return word.replace(/[a-z]/g, letter => `[${letter.toUpperCase()}${letter}]`)
}

function patternOf({ type, choices = [] }: Variable): string {
  if (type === 'choice') return String.raw`^\s*(${choices.map(anyCase).join('|')})\s*$`
  const pattern = PATTERNS.get(type)
  if (pattern === undefined) throw new Error(`UCR has no words for the type ${type}`)
  return pattern
}

function section(variable: Variable): string {
  const { name, type, min, max, description, categories } = variable
  const isShared = SHARED_TYPES.includes(type)
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

/** Of the service, not of the daemon: only UCS starts by variable. */
const AUTOSTART: Variable = {
  name: 'mtpolicyd/autostart',
  type: 'choice',
  choices: ['yes', 'no', 'manually', 'true', 'false'],
  default: '',
  description: {
    en: 'Whether the daemon starts with the server: yes, manually, or no (it cannot be started at all).',
    de: 'Ob der Dienst mit dem Server startet: yes, manually, oder no (er kann gar nicht gestartet werden).',
  },
  categories: 'service-mail',
}

export function ucrDescriptions(): string {
  return [...declarations, AUTOSTART].map(section).join('\n')
}

if (import.meta.main) writeFileSync(UCR_DESCRIPTIONS, ucrDescriptions())
