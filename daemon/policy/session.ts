/**
 * What is known about one mail across its requests, joined by Postfix's `instance`.
 *
 * Plugins keep results, scores and "already done" marks here; an operator's SetField writes here.
 * Values are JSON, so that a session can live in another process. Keys that begin with `_` are
 * ours and cannot be set or cleared from a configuration.
 */

export type SessionValue =
  | string
  | number
  | boolean
  | null
  | readonly SessionValue[]
  | { readonly [key: string]: SessionValue }

export class Session {
  #values: Map<string, SessionValue> | undefined

  constructor(values?: Map<string, SessionValue>) {
    this.#values = values
  }

  get(key: string): SessionValue | undefined {
    return this.#values?.get(key)
  }

  /** A value as the text a condition compares; undefined if unset. Numbers print as the original prints them. */
  text(key: string): string | undefined {
    const value = this.#values?.get(key)
    if (value === undefined || value === null) return undefined
    if (typeof value === 'string') return value
    if (typeof value === 'number') return formatNumber(value)
    if (typeof value === 'boolean') return value ? '1' : '0'
    return JSON.stringify(value)
  }

  set(key: string, value: SessionValue): void {
    this.#values ??= new Map()
    this.#values.set(key, value)
  }

  delete(key: string): void {
    this.#values?.delete(key)
  }

  keys(): Iterable<string> {
    return this.#values?.keys() ?? []
  }

  entries(): Iterable<[string, SessionValue]> {
    return this.#values?.entries() ?? []
  }

  /** True once per mail and key: marks the key as done. */
  once(key: string): boolean {
    if (this.get(key) !== undefined) return false
    this.set(key, 1)
    return true
  }
}

/**
 * Where sessions live between the requests of one mail. `acquire` waits while another request of
 * the same mail holds the session, `release` stores it. Each session that was acquired is released
 * once. A cache that does not answer rejects, and the caller continues with an empty session, which
 * is not released: a session is never worth a mail.
 */
export interface SessionCache {
  acquire(instance: string): Session | Promise<Session>
  release(instance: string, session: Session): void | Promise<void>
}

/** 15 significant digits, whole numbers in full, as configurations of the original expect to see. */
export function formatNumber(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return String(value)
  if (Number.isInteger(value) && Math.abs(value) < 2 ** 63) return BigInt(value).toString()
  const [mantissa = '', exponent] = value.toPrecision(15).split('e')
  const trimmed = mantissa.includes('.') ? mantissa.replace(/\.?0+$/, '') : mantissa
  if (exponent !== undefined) return `${trimmed}e${padExponent(Number(exponent))}`
  if (value !== 0 && Math.abs(value) < 1e-4) {
    const [small = '', power] = value.toExponential(14).split('e')
    return `${small.replace(/\.?0+$/, '')}e${padExponent(Number(power))}`
  }
  return trimmed
}

/** C prints exponents with a sign and two digits: 1e-05, 1e+20. */
function padExponent(exponent: number): string {
  return `${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`
}

/** A text as a number, by its leading digits as the original takes it: "12abc" is 12, "abc" is 0. */
export function leadingNumber(text: string): number {
  const match = /^\s*([+-]?(?:inf(?:inity)?|nan|(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?))/i.exec(text)
  if (!match?.[1]) return 0
  const word = match[1].toLowerCase().replace('+', '')
  if (word.includes('inf')) return word.startsWith('-') ? -Infinity : Infinity
  if (word.includes('nan')) return Number.NaN
  return Number(match[1])
}
