/**
 * Regular expressions as files of the original write them (Perl), as JavaScript has them.
 *
 * What differs and can be said safely is translated: `(?i)`-style flags at the start, `\A \z \Z
 * \h`, POSIX classes. Everything else JavaScript does not know is a SyntaxError for the caller to
 * report at its place. Matching is by character; the original matched UTF-8 bytes.
 */

const POSIX: Readonly<Record<string, string>> = {
  alpha: 'a-zA-Z',
  digit: '0-9',
  alnum: 'a-zA-Z0-9',
  upper: 'A-Z',
  lower: 'a-z',
  space: '\\s',
  blank: ' \\t',
  punct: '!-\\/:-@\\[-`{-~',
  xdigit: '0-9A-Fa-f',
  word: '\\w',
  cntrl: '\\x00-\\x1f\\x7f',
  print: '\\x20-\\x7e',
  graph: '\\x21-\\x7e',
}

/** The pattern, or a SyntaxError that says what is wrong. An empty pattern matches everything. */
export function compilePattern(source: string): RegExp {
  const flagged = /^\(\?\^?([imsxn]*)\)/.exec(source)
  let flags = ''
  for (const flag of flagged?.[1] ?? '') {
    if (flag !== 'i' && flag !== 'm' && flag !== 's') {
      throw new SyntaxError(`the flag (?${flag}) is not known here; expected i, m or s`)
    }
    flags += flags.includes(flag) ? '' : flag
  }
  return new RegExp(translate(flagged ? source.slice(flagged[0].length) : source), flags)
}

function translate(source: string): string {
  let out = ''
  let inClass = false
  for (let i = 0; i < source.length; i++) {
    const char = source[i] ?? ''
    if (char === '\\') {
      const next = source[++i] ?? ''
      if (!inClass && next === 'A') out += '(?<![\\s\\S])'
      else if (!inClass && next === 'z') out += '(?![\\s\\S])'
      else if (!inClass && next === 'Z') out += '(?=\\n?(?![\\s\\S]))'
      else if (next === 'h') out += inClass ? ' \\t' : '[ \\t]'
      else out += `\\${next}`
    } else if (inClass && char === '[' && source[i + 1] === ':') {
      const end = source.indexOf(':]', i + 2)
      const name = source.slice(i + 2, end)
      const members = end > 0 && Object.hasOwn(POSIX, name) ? POSIX[name] : undefined
      if (members === undefined) throw new SyntaxError(`[:${name}:] is not a character class`)
      out += members
      i = end + 1
    } else {
      if (char === '[' && !inClass) inClass = true
      else if (char === ']' && inClass && !/\[\^?$/.test(out)) inClass = false
      out += char
    }
  }
  return out
}
