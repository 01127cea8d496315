/**
 * The texts of mails: templates in Handlebars, one file for each text and language, which an administrator
 * can replace by one of the same name in /etc/univention-mtpolicyd/alert-texts/:
 *
 *   Subject: [{{host}}] {{what}}
 *
 *   {{what}}.
 *
 * A mail is not HTML, so nothing is escaped. Instead each value is one line that a terminal can show, and
 * subject and text are rendered apart: so no value can add a header, a line or an attachment. A file of the
 * administrator that cannot be used is reported, and ours is used.
 */

import { constants, existsSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { describeError } from '../../system/errors.ts'
import { columnsOf, cutOff, printable } from '../../text/columns.ts'
import { plainText } from '../../text/plain-text.ts'
import { wrap } from '../../text/wrap.ts'
import type { AlertLanguage } from '../alert.ts'
import { oneLine } from './encoded-word.ts'
import { isCommand } from './remedy-steps.ts'

export const TEXT_NAMES = ['alert', 'digest', 'user'] as const
export type TextName = (typeof TEXT_NAMES)[number]

/** A file of the administrator. */
const LARGEST_TEXT_BYTES = 64 * 1024
/** A value in a text. */
const LONGEST_VALUE_COLUMNS = 500
const LONGEST_SUBJECT_COLUMNS = 160
/** Lines of a mail; a value may be longer if it has no spaces. */
const COLUMNS = 76

export type TextValue = string | number | boolean | TextValues | readonly TextValues[]
export interface TextValues {
  readonly [name: string]: TextValue
}

export interface RenderedText {
  readonly subject: string
  readonly text: string
}

/** Beside the bundle, or in the sources. */
const builtIn = join(
  [import.meta.dirname, join(import.meta.dirname, '../../..')].find(folder =>
    existsSync(join(folder, 'templates/alert-texts')),
  ) ?? import.meta.dirname,
  'templates/alert-texts',
)

export class MailTexts {
  readonly #own: string
  readonly #log: (line: string) => void

  /** `etc`: the folder that has `alert-texts/`. Files are read when they are used, so a change needs no reload. */
  constructor(etc: string, log: (line: string) => void) {
    this.#own = join(etc, 'alert-texts')
    this.#log = log
  }

  async render(name: TextName, language: AlertLanguage, values: TextValues): Promise<RenderedText> {
    const file = `${name}.${language}.txt`
    const own = join(this.#own, file)
    const safe = safeValues(values)
    try {
      const source = await readOwn(own)
      if (source !== undefined) return await rendered(source, safe)
    } catch (error) {
      this.#log(`${own} cannot be used, so the mail has the usual text: ${firstLine(error)}`)
    }
    return rendered((await readOwn(join(builtIn, file))) ?? '', safe)
  }
}

/** Undefined: there is no such file. */
async function readOwn(path: string): Promise<string | undefined> {
  // A pipe there must not make it wait.
  const flags = constants.O_RDONLY | constants.O_NONBLOCK
  const file = await open(path, flags).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (file === undefined) return undefined
  try {
    const info = await file.stat()
    if (!info.isFile()) throw new Error('it is not a file')
    if (info.size > LARGEST_TEXT_BYTES)
      throw new Error(`it has more than ${LARGEST_TEXT_BYTES} bytes`)
    return plainText(await file.readFile('utf8'))
  } finally {
    await file.close()
  }
}

async function rendered(source: string, values: TextValues): Promise<RenderedText> {
  // Most starts send no mail.
  const { default: Handlebars } = await import('handlebars')
  const [, subject, body] = /^Subject:[ \t]*(.*)\n\s*\n([\s\S]*)$/.exec(source) ?? []
  if (subject === undefined || body === undefined) {
    throw new Error('expected "Subject: TEXT", an empty line and the text of the mail')
  }
  const engine = Handlebars.create()
  const fill = (template: string): string =>
    engine.compile(template, { noEscape: true, strict: true, knownHelpersOnly: true })(values)
  const line = cutOff(oneLine(fill(subject)), LONGEST_SUBJECT_COLUMNS)
  const text = fill(body)
    .replaceAll(/\n{3,}/g, '\n\n')
    .trim()
  if (line === '' || text === '') throw new Error('it has no subject, or no text')
  return { subject: line, text: `${text.split('\n').flatMap(wrapped).join('\n')}\n` }
}

/** A line continues below its first word, but a command is one line; in a table, which has several spaces after that, below its second one. */
function wrapped(line: string): string[] {
  if (columnsOf(line) <= COLUMNS || isCommand(line)) return [line.trimEnd()]
  const [start = ''] = /^ *(?:\S+ {2,})?/.exec(line) ?? []
  const indent = ' '.repeat(start.length)
  const [first = '', ...rest] = wrap(line.slice(start.length).trim(), COLUMNS - start.length)
  return [start + first, ...rest.map(one => indent + one)]
}

function safeValues(values: TextValues): TextValues {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, safe(value)]))
}

function safe(value: TextValue): TextValue {
  if (typeof value === 'string') return safeText(value)
  if (typeof value !== 'object') return value
  return isList(value) ? value.map(safeValues) : safeValues(value)
}

/** Array.isArray() does not tell a read-only array from the rest. */
function isList(value: TextValues | readonly TextValues[]): value is readonly TextValues[] {
  return Array.isArray(value)
}

/** One line, without what a terminal or a mail program would obey. */
function safeText(text: string): string {
  return cutOff(printable(oneLine(text)), LONGEST_VALUE_COLUMNS)
}

/** Handlebars points at a mistake with a picture of several lines. */
function firstLine(error: unknown): string {
  return describeError(error)
    .split('\n')
    .filter(line => !/^[-^.]/.test(line))
    .join(' ')
}
