/** What the browser has sent, read once: each mistake is a WebError of status 400 that says what was expected. */

import { WebError } from './reply.ts'

/** Years beyond what a Date can have are no times. */
const LATEST = 8.64e15

export type Fields = Readonly<Record<string, unknown>>

/** A time of the query, milliseconds since 1970. */
export function timeIn(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name)
  if (text === null || text === '') return undefined
  const time = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
  if (time <= LATEST) return time
  throw new WebError(400, `"${name}" must be milliseconds since 1970`)
}

/** Two times of the query; `most`: how far apart, in milliseconds. */
export function spanIn(
  query: URLSearchParams,
  now: number,
  usual: number,
  most: number,
): { readonly since: number; readonly until: number } {
  const until = timeIn(query, 'until') ?? now
  const since = timeIn(query, 'since') ?? Math.max(0, until - usual)
  if (since > until) throw new WebError(400, '"until" must not be before "since"')
  if (until - since > most) throw new WebError(400, `expected at most ${most / 86_400_000} days`)
  return { since, until }
}

/** Undefined: it is missing or empty. */
export function textIn(query: URLSearchParams, name: string): string | undefined {
  const text = query.get(name)
  return text === null || text === '' ? undefined : text
}

export function countIn(query: URLSearchParams, name: string, usual: number, most: number): number {
  const text = textIn(query, name)
  if (text === undefined) return usual
  const count = /^\d{1,6}$/.test(text) ? Number(text) : 0
  if (count >= 1 && count <= most) return count
  throw new WebError(400, `"${name}" must be a whole number from 1 to ${most}`)
}

/** The object of a body, with no other names: the page would believe that they have an effect. */
export function fieldsOf(body: unknown, names: readonly string[]): Fields {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new WebError(400, 'expected an object')
  }
  const unknown = Object.keys(body).find(name => !names.includes(name))
  if (unknown !== undefined) throw new WebError(400, `unknown field "${unknown.slice(0, 100)}"`)
  return { ...body }
}

/** Undefined: it is missing or empty. */
export function textOf(fields: Fields, name: string): string | undefined {
  const { [name]: text } = fields
  if (text === undefined || text === '') return undefined
  if (typeof text === 'string') return text
  throw new WebError(400, `"${name}" must be a text`)
}

export function neededText(fields: Fields, name: string): string {
  const text = textOf(fields, name)
  if (text === undefined) throw new WebError(400, `"${name}" is missing`)
  return text
}
