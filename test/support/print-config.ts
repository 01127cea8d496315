/**
 * Tree → text that parses back into the same tree.
 *
 * Values are written in double quotes; those that no line can hold (line breaks, C comment marks)
 * as here-documents. Every piece is read back before it is handed out, so a tree that cannot be
 * written (an option name with `#`, a block without type) is a RangeError that says what would be
 * read instead, never a file that means something else. Comments and places are not kept.
 */

import { parseConfig } from '../../daemon/config/parser.ts'
import { type Block, type Entry, type Option, tagOf } from '../../daemon/config/tree.ts'
import { excerpt } from '../../daemon/text/excerpt.ts'

export function printConfig(root: Block): string {
  return root.entries.map(entry => printEntry(entry, '')).join('')
}

function printEntry(entry: Entry, indent: string): string {
  return entry.kind === 'option' ? printOption(entry, indent) : printBlock(entry, indent)
}

function printOption({ name, value }: Option, indent: string): string {
  const forms =
    value === undefined
      ? [`${name}\n`, `${name} \n`]
      : [lineForm(name, value), documentForm(name, value)]
  const [first] = forms
  const form = forms.find(text => {
    const back = readBack(text)
    return back?.kind === 'option' && back.name === name && back.value === value
  })
  if (form !== undefined) return indent + form
  throw new RangeError(`option "${excerpt(name)}" cannot be written: ${misreading(first ?? '')}`)
}

function printBlock(block: Block, indent: string): string {
  const { type, name } = block
  const forms =
    name === undefined
      ? [type, `"${type}"`].map(form => [form, form])
      : [type, `"${type}"`].flatMap(form => [
          [`${form} ${name}`, form],
          [`${form} "${name}"`, form],
        ])
  const form = forms.find(([start, end]) => {
    const back = readBack(`<${start}>\n</${end}>\n`)
    return back?.kind === 'block' && back.type === type && back.name === name
  })
  if (form === undefined) {
    const reason = name === '' ? 'its name is empty' : misreading(`<${forms[0]?.[0]}>\n</x>\n`)
    throw new RangeError(`block ${tagOf(block)} cannot be written: ${reason}`)
  }
  const inside = block.entries.map(entry => printEntry(entry, `${indent}  `)).join('')
  return `${indent}<${form[0]}>\n${inside}${indent}</${form[1]}>\n`
}

function lineForm(name: string, value: string): string {
  return `${name} = "${escapeBackslashes(value).replace(/#/g, '\\#')}"\n`
}

/** At the margin, so that nothing is taken off the lines; the quotes protect outer blanks. */
function documentForm(name: string, value: string): string {
  let mark = 'EOT'
  for (let n = 1; value.includes(mark); n++) mark = `EOT${n}`
  return `${name} = <<${mark}\n"${escapeBackslashes(value)}"\n${mark}\n`
}

/** Only where the reader would take a backslash away, so that `\d` stays as people write it. */
function escapeBackslashes(value: string): string {
  return value.replace(/\\(?=[\\$"#])/g, '\\\\')
}

/** The one entry that the text is read as, if it is one and nothing is wrong with it. */
function readBack(text: string): Entry | undefined {
  const { root, problems } = parsePiece(text)
  if (root.entries.length !== 1 || problems.some(({ severity }) => severity !== 'warning')) {
    return undefined
  }
  return root.entries[0]
}

function misreading(text: string): string {
  const { root, problems } = parsePiece(text)
  const problem = problems.find(({ severity }) => severity !== 'warning')
  if (problem) return problem.message
  const [entry] = root.entries
  if (!entry) return 'nothing would be read back'
  if (entry.kind === 'block') return `block ${tagOf(entry)} would be read back`
  const value = entry.value === undefined ? 'no value' : `the value "${excerpt(entry.value)}"`
  return `option "${excerpt(entry.name)}" with ${value} would be read back`
}

function parsePiece(text: string) {
  const file = 'printed'
  return parseConfig(file, {
    list: () => [],
    read(path) {
      if (path !== file) throw new Error('a printed entry includes no file')
      return text
    },
  })
}
