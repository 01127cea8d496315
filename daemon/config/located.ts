/**
 * Text that remembers where each of its parts stood.
 *
 * A logical line is assembled from pieces: a comment is cut out of its middle, the next line is
 * joined to it. Cutting and joining happen here, so that columns are still right afterwards. What
 * the dialect takes for white space is defined here, too: Perl's `\s` on bytes, which is narrower than JavaScript's
 * (a no-break space is text).
 */

import type { Place } from '../policy/problem.ts'

export interface Located {
  readonly text: string
  /** In ascending order; the first is at offset 0. */
  readonly origins: readonly { readonly offset: number; readonly place: Place }[]
}

export function located(text: string, place: Place): Located {
  return { text, origins: [{ offset: 0, place }] }
}

export function placeAt({ origins }: Located, offset: number): Place {
  let low = 0
  for (let high = origins.length; high - low > 1; ) {
    const middle = (low + high) >> 1
    if ((origins[middle]?.offset ?? 0) <= offset) low = middle
    else high = middle
  }
  const origin = origins[low]
  if (!origin) throw new Error('located text without origin')
  const { file, line, column } = origin.place
  return { file, line, column: column + offset - origin.offset }
}

export function slice(source: Located, from: number, to = source.text.length): Located {
  const origins = [{ offset: 0, place: placeAt(source, from) }]
  for (const { offset, place } of source.origins) {
    if (offset > from && offset < to) origins.push({ offset: offset - from, place })
  }
  return { text: source.text.slice(from, to), origins }
}

/** At least one part. */
export function join(parts: readonly Located[]): Located {
  let length = 0
  const origins = parts.flatMap(part => {
    const start = length
    length += part.text.length
    return part.origins.map(({ offset, place }) => ({ offset: start + offset, place }))
  })
  return { text: parts.map(part => part.text).join(''), origins }
}

export function isBlank(character: string | undefined): boolean {
  return character !== undefined && character !== '' && ' \t\n\r\f\v'.includes(character)
}

/** The first index at or after `from` that is not white space. */
export function skipBlanks(text: string, from = 0): number {
  let index = from
  while (index < text.length && isBlank(text[index])) index++
  return index
}

/** The index after the last character that is not white space, before `to`. */
export function skipBlanksBack(text: string, to = text.length): number {
  let index = to
  while (index > 0 && isBlank(text[index - 1])) index--
  return index
}

export function trim(source: Located): Located {
  const from = skipBlanks(source.text)
  return slice(source, from, Math.max(from, skipBlanksBack(source.text)))
}

export function trimText(text: string): string {
  const from = skipBlanks(text)
  return text.slice(from, Math.max(from, skipBlanksBack(text)))
}
