/**
 * Manual text to roff, for man(7): as little markup as the pages here need.
 *
 *   # HEADING        a section; `## Heading` one below it
 *   : TERM           an item of a list of definitions; the lines below it, indented or not, up to
 *                    the next blank line, are its text; a line of "+" adds a paragraph to it
 *   * item           an item of a list
 *   (two spaces)     an example, kept as it is
 *   anything else    a paragraph, filled
 *
 * In running text `this` is bold, _FILE_ is italic, name(8) is a page. Nothing else has a meaning:
 * every other character is printed as it stands, also a dot or a backslash.
 */

import { wrap } from '../daemon/text/wrap.ts'

export type Language = 'en' | 'de'

export interface Page {
  readonly name: string
  readonly section: 1 | 5 | 7 | 8
  readonly language: Language
  /** For the NAME line and for apropos(1): no full stop, and in English no capital letter. */
  readonly summary: string
  /** YYYY-MM-DD */
  readonly date: string
  /** Program and version, at the foot. */
  readonly source: string
  /** Title of the manual, at the head. */
  readonly manual: string
  /** In the markup described above. */
  readonly text: string
}

/** As apropos(1) expects it. */
const NAME: Readonly<Record<Language, string>> = { en: 'NAME', de: 'BEZEICHNUNG' }

export function manPage(page: Page): string {
  const { name, section, language, summary, date, source, manual, text } = page
  const title = [name.toUpperCase(), String(section), date, source, manual]
  return [
    `.TH ${title.map(argument => `"${prose(argument)}"`).join(' ')}`,
    // No hyphenation in what may be copied, and no justified lines.
    '.nh',
    '.ad l',
    `.SH ${NAME[language]}`,
    `${literal(name)} \\- ${inline(summary)}`,
    ...withoutIdleParagraphs(body(text)),
    '',
  ].join('\n')
}

/** A heading begins a paragraph by itself. */
function withoutIdleParagraphs(lines: readonly string[]): string[] {
  return lines.filter((line, at) => line !== '.PP' || !/^\.S[HS] /.test(lines[at - 1] ?? ''))
}

function body(text: string): string[] {
  const blocks = joinExamples(text.split(/\n\s*\n/).flatMap(splitBlock))
  let isInItem = false
  return blocks.flatMap(lines => {
    const [first = ''] = lines
    if (lines.every(line => line.trim() === '')) return []
    if (/^#/.test(first)) isInItem = false
    else if (/^[:*] /.test(first)) isInItem = true
    else if (first !== '+' && !/^ {2}/.test(first)) isInItem = false
    return block(lines, isInItem)
  })
}

/** Headings and items need no blank line around them. */
function splitBlock(text: string): string[][] {
  const blocks: string[][] = [[]]
  for (const line of text.split('\n')) {
    const last = blocks.at(-1)
    const isAlone = line.startsWith('#') || last?.[0]?.startsWith('#') === true
    if (isAlone || /^([:*] |\+$)/.test(line)) blocks.push([line])
    else last?.push(line)
  }
  return blocks.filter(lines => lines.length > 0)
}

const isExample = (lines: readonly string[]): boolean =>
  lines.every(line => line === '' || line.startsWith('  '))

/** An example may have empty lines. */
function joinExamples(blocks: readonly string[][]): string[][] {
  const joined: string[][] = []
  for (const lines of blocks) {
    const before = joined.at(-1)
    if (before && isExample(before) && isExample(lines)) before.push('', ...lines)
    else joined.push([...lines])
  }
  return joined
}

function block(lines: readonly string[], isInItem: boolean): string[] {
  const [first = '', ...rest] = lines
  if (first.startsWith('## ')) return [`.SS ${heading(first.slice(3))}`, ...paragraph(rest)]
  if (first.startsWith('# ')) return [`.SH ${heading(first.slice(2))}`, ...paragraph(rest)]
  if (first.startsWith(': ')) return ['.TP', term(first.slice(2)), ...paragraph(rest)]
  if (first.startsWith('* ')) return ['.IP \\(bu 2', ...paragraph([first.slice(2), ...rest])]
  if (first === '+') return ['.IP', ...paragraph(rest)]
  if (isExample(lines)) return example(lines, isInItem)
  return ['.PP', ...paragraph(lines)]
}

function example(lines: readonly string[], isInItem: boolean): string[] {
  const least = Math.min(...lines.filter(line => line !== '').map(line => line.search(/\S/)))
  // Inside an item .PP would end it; .IP keeps its margin.
  return [
    isInItem ? '.IP' : '.PP',
    '.RS 2',
    '.nf',
    ...lines.map(line => safeStart(literal(line.slice(least)))),
    '.fi',
    '.RE',
  ]
}

function paragraph(lines: readonly string[]): string[] {
  const text = lines
    .map(line => line.trim())
    .join(' ')
    .trim()
  if (text === '') return []
  return wrap(inline(text), 78).map(safeStart)
}

function heading(text: string): string {
  return `"${literal(text)}"`
}

function term(text: string): string {
  return safeStart(inline(text))
}

/** A line of text must not look like a request. */
function safeStart(line: string): string {
  return /^[.']/.test(line) ? `\\&${line}` : line
}

const MARKED =
  /`([^`]+)`|(?<![A-Za-z0-9_])_([A-Z][A-Za-z:]*)_(?![A-Za-z0-9_])|\b([a-z][\w.-]*)(\(\d\))/g

function inline(text: string): string {
  let result = ''
  let from = 0
  for (const match of text.matchAll(MARKED)) {
    const [whole, bold, italic, page, section = ''] = match
    result += prose(text.slice(from, match.index))
    if (italic !== undefined) result += `\\fI${italic}\\fR`
    else result += `\\fB${literal(bold ?? page ?? '')}\\fR${section}`
    from = match.index + whole.length
  }
  return result + prose(text.slice(from))
}

const PROSE: Readonly<Record<string, string>> = {
  '\\': '\\e',
  '“': '\\(lq',
  '”': '\\(rq',
  '’': '\\(cq',
  "'": '\\(cq',
  '×': '\\(mu',
  '–': '\\(en',
  '→': '\\(->',
  '≥': '\\(>=',
  '„': '\\(Bq',
  '«': '\\(Fo',
  '»': '\\(Fc',
  // By these names apropos(1) knows them too; of other letters it sees the number only.
  ä: '\\(:a',
  ö: '\\(:o',
  ü: '\\(:u',
  Ä: '\\(:A',
  Ö: '\\(:O',
  Ü: '\\(:U',
  ß: '\\(ss',
  é: "\\('e",
  è: '\\(`e',
  ê: '\\(^e',
  à: '\\(`a',
  ù: '\\(`u',
  û: '\\(^u',
  ô: '\\(^o',
  î: '\\(^i',
  ç: '\\(,c',
  É: "\\('E",
  À: '\\(`A',
}

const LITERAL: Readonly<Record<string, string>> = {
  ...PROSE,
  '-': '\\-',
  "'": '\\(aq',
  '"': '\\(dq',
  '`': '\\(ga',
  '^': '\\(ha',
  '~': '\\(ti',
}

/** Text that may be typed: keyboard characters must stay as they are. */
function literal(text: string): string {
  return escaped(text, LITERAL)
}

function prose(text: string): string {
  return escaped(text, PROSE)
}

function escaped(text: string, table: Readonly<Record<string, string>>): string {
  return Array.from(text, character => {
    const known = table[character]
    if (known !== undefined) return known
    const code = character.codePointAt(0) ?? 0
    return code < 127 ? character : `\\[u${code.toString(16).toUpperCase().padStart(4, '0')}]`
  }).join('')
}
