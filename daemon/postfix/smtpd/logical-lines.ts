/**
 * How Postfix divides main.cf and master.cf into lines (postconf(5), master(5)).
 *
 * A line that starts with white space continues the previous one, even across empty lines and
 * comments; a line whose first visible character is `#` is a comment wherever it stands. A
 * continuation line with nothing to continue is ignored, with a warning in the log. Text is one
 * character per byte.
 */

export interface Line {
  readonly start: number
  /** Without the line end. */
  readonly contentEnd: number
  readonly end: number
}

/** Groups of physical lines that Postfix reads as one; comments and empty lines belong to none. */
export function logicalLines(text: string): Line[][] {
  const groups: Line[][] = []
  for (let start = 0; start < text.length; ) {
    const feed = text.indexOf('\n', start)
    const contentEnd = feed < 0 ? text.length : feed
    const end = feed < 0 ? text.length : feed + 1
    const content = text.slice(start, contentEnd)
    const isContent = /^[ \t\r\v\f]*[^ \t\r\v\f#]/.test(content)
    if (isContent) {
      if (/^[ \t\r\v\f]/.test(content)) groups.at(-1)?.push({ start, contentEnd, end })
      else groups.push([{ start, contentEnd, end }])
    }
    start = end
  }
  return groups
}

/** The 1-based number of the line that contains an offset. */
export function lineAt(text: string, offset: number): number {
  let line = 1
  for (let at = text.indexOf('\n'); at >= 0 && at < offset; at = text.indexOf('\n', at + 1)) line++
  return line
}
