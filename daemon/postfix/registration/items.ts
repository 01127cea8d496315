/**
 * Policy items as text, anywhere in main.cf and master.cf: finds those that name a server, and
 * changes the server. An item's options stay as they are. Pure functions.
 */

import { findDefinitions, readDefinitions } from '../smtpd/main-cf.ts'
import { readServices } from '../smtpd/master-cf.ts'
import { formatServer, type PolicyServer } from '../smtpd/policy-item.ts'

/** A stretch of content in a file: the offsets of its characters, without comments. */
type Content = readonly number[]

/** Every value of main.cf, or of an option in master.cf. */
function contents(name: 'main.cf' | 'master.cf', text: string): Content[] {
  const range = (start: number, end: number) =>
    Array.from({ length: end - start }, (_, i) => start + i)
  if (name === 'main.cf') {
    return readDefinitions(text).map(({ segments }) =>
      segments.flatMap(({ start, end }) => range(start, end)),
    )
  }
  return readServices(text).flatMap(({ options }) =>
    options.map(({ start, end }) => range(start, end)),
  )
}

/** The text after every item that names an old server has been changed to name the new one. */
export function moveItems(
  name: 'main.cf' | 'master.cf',
  text: string,
  isOld: (server: string) => boolean,
  server: PolicyServer,
): string {
  const replacements = contents(name, text).flatMap(content => {
    const value = content.map(offset => text[offset]).join('')
    const found = value.matchAll(/(check_policy_service[\s,]+(?:\{[\s,]*)?)([^\s,{}]+)/gi)
    return [...found].flatMap(({ index, 1: before = '', 2: old = '' }) => {
      const start = content[index + before.length]
      return start !== undefined && isOld(old) ? [{ start, length: old.length }] : []
    })
  })
  let result = text
  for (const { start, length } of replacements.reverse()) {
    result = result.slice(0, start) + formatServer(server) + result.slice(start + length)
  }
  return result
}

/** Is the item still in the list where we put it? */
export function hasItem(
  texts: { readonly mainCf: string; readonly masterCf: string },
  edit: {
    readonly file: string
    readonly service?: string | undefined
    readonly parameter: string
  },
  server: string,
): boolean {
  const values =
    edit.file === 'main.cf'
      ? findDefinitions(texts.mainCf, edit.parameter).map(({ value }) => value)
      : readServices(texts.masterCf)
          .filter(({ name }) => name === edit.service)
          .flatMap(({ options }) => options.filter(({ name }) => name === edit.parameter))
          .map(({ value }) => value)
  return values.some(value => value.includes(server))
}
