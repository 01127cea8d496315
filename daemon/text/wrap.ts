import { columnsOf } from './columns.ts'

/** Text in lines of at most `columns` columns, broken at spaces; a longer word is not broken. */
export function wrap(text: string, columns: number): string[] {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last !== undefined && columnsOf(last) + 1 + columnsOf(word) <= columns) {
      lines[lines.length - 1] = `${last} ${word}`
    } else {
      lines.push(word)
    }
  }
  return lines
}

/** A text that was written over several lines, in one. */
export function filled(text: string): string {
  return text.trim().replaceAll(/\s+/g, ' ')
}
