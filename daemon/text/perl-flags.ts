/** The flags of Perl's expressions: `(?i)`, `(?i-s:...)`, `(?^x:...)`. */

export interface Flags {
  readonly i: boolean
  readonly m: boolean
  readonly s: boolean
  readonly x: boolean
  /** Groups do not capture. */
  readonly n: boolean
}

export const NO_FLAGS: Flags = { i: false, m: false, s: false, x: false, n: false }

/** What is written between `(?` and `:` or `)`. */
export function changedFlags(before: Flags, written: string): Flags {
  const [, fresh, on = '', off = ''] = /^(\^?)([a-z]*)(?:-([a-z]*))?$/.exec(written) ?? []
  if (/x.*x/.test(on)) throw new SyntaxError('the flag (?xx) is not supported; expected x')
  let flags = fresh ? NO_FLAGS : before
  for (const flag of on) flags = withFlag(flags, flag, true)
  for (const flag of off) flags = withFlag(flags, flag, false)
  return flags
}

function withFlag(flags: Flags, flag: string, isOn: boolean): Flags {
  // For ASCII, bytes and ${^PREMATCH}: nothing depends on them here.
  if ('adp'.includes(flag)) return flags
  if (!Object.hasOwn(NO_FLAGS, flag)) {
    throw new SyntaxError(`the flag (?${flag}) is not supported; expected i, m, s, x or n`)
  }
  return { ...flags, [flag]: isOn }
}
