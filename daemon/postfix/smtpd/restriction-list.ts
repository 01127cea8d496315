/**
 * Postfix's restriction lists as text, split as smtpd splits them: at spaces and commas; `{ … }` is
 * one word, and braces nest.
 */

export interface Token {
  readonly text: string
  readonly start: number
  readonly end: number
}

/** The only list that sees authenticated mail once per message with its final recipient count. */
export const END_OF_DATA = 'smtpd_end_of_data_restrictions'

export function tokenise(value: string): Token[] {
  const tokens: Token[] = []
  // CHARS_COMMA_SP: no other white space is a separator.
  const separator = /[ \t\r\n,]/
  let at = 0
  while (at < value.length) {
    if (separator.test(value[at] ?? '')) {
      at++
      continue
    }
    const start = at
    let depth = 0
    for (; at < value.length; at++) {
      const character = value[at] ?? ''
      if (character === '{') depth++
      if (character === '}') depth = Math.max(0, depth - 1)
      if (depth === 0 && separator.test(character)) break
    }
    tokens.push({ text: value.slice(start, at), start, end: at })
  }
  return tokens
}

export interface Stretch {
  readonly start: number
  readonly end: number
}

/**
 * What has to be cut from a list to remove everything of ours: each restriction with its argument,
 * the following separator (for the last one, the preceding one), and a warn_if_reject that would
 * otherwise apply to the next restriction. `isAll`: nothing else is in the list.
 */
export function stretchesOf(
  value: string,
  isOurs: (restriction: string, argument: string | undefined) => boolean,
): { readonly stretches: readonly Stretch[]; readonly isAll: boolean } {
  const tokens = tokenise(value)
  const stretches: Stretch[] = []
  const kept: Token[] = []
  for (let at = 0; at < tokens.length; at++) {
    const [word, argument, next] = tokens.slice(at, at + 3)
    if (!word) break
    if (!argument || !isOurs(word.text, argument.text)) {
      kept.push(word)
      continue
    }
    let { start } = word
    while (/^warn_if_reject$/i.test(kept.at(-1)?.text ?? '')) start = kept.pop()?.start ?? start
    const isLast = next === undefined && kept.length > 0
    stretches.push({
      start: isLast ? (kept.at(-1)?.end ?? start) : start,
      end: next ? next.start : argument.end,
    })
    at++
  }
  return { stretches: apart(stretches), isAll: kept.length === 0 }
}

/** Merges stretches that overlap. */
function apart(stretches: readonly Stretch[]): Stretch[] {
  const all: Stretch[] = []
  for (const { start, end } of stretches) {
    const last = all.at(-1)
    if (last && start <= last.end) all.splice(-1, 1, { start: Math.min(last.start, start), end })
    else all.push({ start, end })
  }
  return all
}
