/**
 * What a logical line says: an opening tag, an end tag, or an option.
 *
 * Lines that begin with `<` but are not tags are read as what was most likely meant, with a `fault`
 * that describes the mistake, so that one missing `>` is one message and not ten.
 */

import type { Problem } from '../policy/problem.ts'
import { excerpt } from '../text/excerpt.ts'
import { isBlank, type Located, skipBlanks } from './located.ts'

export interface Tag {
  readonly type: string
  readonly name: string | undefined
}

interface Fault {
  readonly severity: Problem['severity']
  readonly message: string
}

export type Statement =
  | ({ readonly kind: 'open'; readonly fault: Fault | undefined } & Tag)
  /** `written`: the tag as it is in the file. */
  | ({ readonly kind: 'close'; readonly fault: Fault | undefined; readonly written: string } & Tag)
  | ({ readonly kind: 'option'; readonly fault: Fault | undefined } & SplitOption)

interface SplitOption {
  readonly name: string
  readonly value: string | undefined
  /** Offset in the line. */
  readonly valueAt: number
}

/** A line without white space around it. */
export function readStatement({ text }: Located): Statement {
  if (!text.startsWith('<')) return option(text)
  if (text.startsWith('<<')) return option(text, includeFault(text))
  if (text.startsWith('</')) return readEndTag(text)
  const end = text.indexOf('>')
  if (text === '<' || end === 1) {
    return option(text, fatal(`"${excerpt(text)}" is not a tag: expected <Type> or <Type name>`))
  }
  const tag = readTag(text.slice(1, text.endsWith('>') ? -1 : end < 0 ? undefined : end))
  return { kind: 'open', ...tag, fault: openFault(text, end) }
}

function readEndTag(text: string): Statement {
  const end = text.indexOf('>')
  const inner = text.slice(2, text.endsWith('>') ? -1 : end < 0 ? undefined : end)
  const fault =
    inner === ''
      ? fatal('an end tag names the type of the block it ends, as in </Plugin>')
      : unfinishedTag(text, end)
  return { kind: 'close', ...readTag(inner), written: excerpt(text), fault }
}

/** Type and name may each be quoted; an unquoted name runs to the end, trailing white space included. */
function readTag(inner: string): Tag {
  const quotedType = /^"([^"]+)"(?=[ \t\r\f\v]|$)/.exec(inner)
  const typeEnd = quotedType?.[0].length ?? inner.search(/[ \t\r\f\v]|$/)
  if (typeEnd === 0) return { type: inner, name: undefined }
  const type = quotedType?.[1] ?? inner.slice(0, typeEnd)
  const rest = inner.slice(skipBlanks(inner, typeEnd))
  const name = /^"([^"]+)"$/.exec(rest)?.[1] ?? rest
  return { type, name: name === '' ? undefined : name }
}

function openFault(text: string, end: number): Fault | undefined {
  const fault = unfinishedTag(text, end)
  if (fault) return fault
  if (isBlank(text[1])) {
    const better = excerpt(`<${text.slice(skipBlanks(text, 1))}`)
    return warning(`the space after "<" becomes part of the block's type; write "${better}"`)
  }
  if (isBlank(text.at(-2)) && readTag(text.slice(1, -1)).name !== undefined) {
    return warning('the space at the end of the tag becomes part of the name; remove it')
  }
  return undefined
}

function unfinishedTag(text: string, end: number): Fault | undefined {
  if (end < 0) return fatal(`the tag "${excerpt(text)}" has no ">" at the end of the line`)
  if (text.endsWith('>')) return undefined
  const rest = excerpt(text.slice(skipBlanks(text, end + 1)))
  return fatal(`nothing may follow a tag on its line; found "${rest}"`)
}

function includeFault(text: string): Fault {
  const path = /^<<\s*include\s+([^>]+)/i.exec(text)?.[1]?.trim()
  const expected = path === undefined ? '<<include PATH>>' : `<<include ${path}>>`
  // Without ">" the original reads it as an unknown option, and starts.
  const severity = text.endsWith('>') ? 'fatal' : 'error'
  const message = `"${excerpt(text)}" is neither a tag nor an include; to include a file, write ${excerpt(expected)} on a line of its own`
  return { severity, message }
}

function option(text: string, fault?: Fault): Statement {
  return { kind: 'option', fault, ...splitOption(text) }
}

/** Splits at the first `=` or white space, whichever comes first; white space around `=` is dropped. */
function splitOption(text: string): SplitOption {
  const nameEnd = text.search(/[= \t\r\f\v]/)
  if (nameEnd < 0) return { name: text, value: undefined, valueAt: 0 }
  let valueAt = skipBlanks(text, nameEnd)
  if (text[valueAt] === '=') valueAt = skipBlanks(text, valueAt + 1)
  return { name: text.slice(0, nameEnd), value: text.slice(valueAt), valueAt }
}

/** The value without its quotes and escapes. Single quotes and other backslashes stay. */
export function plainValue(written: string): string {
  const quoted = written.startsWith('"') && written.endsWith('"')
  const inner = quoted ? written.slice(1, Math.max(1, written.length - 1)) : written
  return inner.replace(/\\([$\\"#])/g, '$1')
}

function warning(message: string): Fault {
  return { severity: 'warning', message }
}

function fatal(message: string): Fault {
  return { severity: 'fatal', message }
}
