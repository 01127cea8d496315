/** Which service a user's mail program would send through, and whose address a login has there. */

import { readFileSync } from 'node:fs'
import { type Door, doorOf } from './door.ts'
import type { PostfixInstance, SmtpdService } from './instance.ts'
import { allowsLogins } from './logins.ts'
import type { Protection } from './protection.ts'

/** Those that mail programs know come first (RFC 6409, RFC 8314). */
const USUAL_PORTS = [587, 465]

export interface SubmissionService {
  readonly instance: PostfixInstance
  readonly service: SmtpdService
  readonly door: Door
}

/**
 * The first service where users log in, or the one at a port. Throws, in words, if there is none.
 */
export function submissionService(
  protections: readonly Protection[],
  port: number | undefined,
): SubmissionService {
  const all = protections.flatMap(({ instance, service, answer }) => {
    const door = doorOf(service)
    return door === undefined ? [] : [{ instance, service, door, answer }]
  })
  const open = all.filter(({ answer }) => answer !== 'no logins' && answer !== 'return path')
  const ports = [...new Set(open.map(({ door }) => door.port))].join(', ')
  if (port !== undefined) {
    const found = open.find(({ door }) => door.port === port)
    if (found) return found
    const closed = all.find(({ door }) => door.port === port)
    const elsewhere = ports === '' ? '' : `; users log in at ${ports}`
    if (!closed) throw new Error(`no service of Postfix listens at port ${port}${elsewhere}`)
    if (allowsLogins(closed.service.parameters)) return closed
    throw new Error(`nobody can log in at port ${port} (${closed.door.service})${elsewhere}`)
  }
  const usual = USUAL_PORTS.flatMap(one => open.find(({ door }) => door.port === one) ?? [])
  const [first = open[0]] = usual
  if (first) return first
  throw new Error('users can log in at none of the services of Postfix; see mtpolicyctl doctor')
}

/** The address of an account: itself, or in the domain that Postfix adds. */
export function addressOf(user: string, { parameters }: SmtpdService): string {
  if (user.includes('@')) return user
  const origin = parameters.value('myorigin')
  return `${user}@${origin.startsWith('/') ? firstLine(origin) || parameters.value('myhostname') : origin}`
}

/** Debian's /etc/mailname. */
function firstLine(file: string): string {
  try {
    return readFileSync(file, 'utf8').split('\n', 1)[0]?.trim() ?? ''
  } catch {
    return ''
  }
}
