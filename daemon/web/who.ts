/** Who a request is from: by the session's cookie, or by a token in the request (RFC 6750). */

import type { IncomingHttpHeaders } from 'node:http'
import type { Attempts } from './attempts.ts'
import { bearerIn } from './origin.ts'
import { WebError } from './reply.ts'
import type { Needed, Session } from './router.ts'
import type { KeptSession, Sessions } from './sessions.ts'
import type { Tokens } from './tokens.ts'

export interface Doors {
  readonly tokens: Tokens
  readonly sessions: Sessions
  readonly attempts: Attempts
}

/** cookie: the browser sends it whichever page asks, so that has to be checked (origin.ts). */
export type Who =
  | { readonly by: 'nobody' }
  | { readonly by: 'cookie'; readonly session: KeptSession }
  | { readonly by: 'token'; readonly session: Session }

/** Throws a WebError for a token that is not valid, or not for this. */
export function whoAsks(
  headers: IncomingHttpHeaders,
  cookies: readonly string[],
  client: string,
  doors: Doors,
): Who {
  const secret = bearerIn(headers)
  if (secret !== undefined) {
    const token = tokenOf(secret, client, doors)
    if (token.role === 'metrics') throw new WebError(403, 'this token is for /metrics only')
    const { name, role } = token
    return { by: 'token', session: { name, role, until: Number.POSITIVE_INFINITY } }
  }
  for (const cookie of cookies) {
    const session = doors.sessions.find(cookie)
    if (!session) continue
    if (session.token === undefined || doors.tokens.has(session.token)) {
      return { by: 'cookie', session }
    }
    // Its token is gone, such as with a file that was damaged.
    doors.sessions.end(cookie)
  }
  return { by: 'nobody' }
}

/** For a stream: `ended` is called when who follows it may no longer; what it returns takes that back. */
export function onEndOf(who: Who, { sessions, tokens }: Doors, ended: () => void): () => void {
  switch (who.by) {
    case 'cookie':
      return sessions.onEnd(who.session, ended)
    case 'token':
      return tokens.onEnd(who.session.name, ended)
    case 'nobody':
      return () => undefined
  }
}

/** Throws a WebError. */
export function tokenOf(secret: string, client: string, { attempts, tokens }: Doors) {
  const token = tokens.find(secret)
  if (token) return token
  mayFail(client, attempts)
  throw invalidToken()
}

export function invalidToken(): WebError {
  return new WebError(401, 'this token is not valid', { 'www-authenticate': 'Bearer' })
}

/**
 * A login has failed. Throws a WebError if too many have. A good secret is never made to wait: otherwise a client with
 * the same address, as all have behind some proxies, could keep the others out.
 */
export function mayFail(client: string, attempts: Attempts): void {
  const wait = attempts.wait(client)
  if (wait === 0) {
    attempts.failed(client)
    return
  }
  const message = `too many logins have failed; try again in ${wait} s`
  throw new WebError(429, message, { 'retry-after': String(wait) })
}

/** Throws a WebError unless this is for them. */
export function checkRole(needed: Needed, who: Who): void {
  if (needed === 'nobody') return
  if (who.by === 'nobody') throw new WebError(401, 'nobody is logged in')
  if (needed === 'change' && who.session.role !== 'change') {
    throw new WebError(403, 'this login may look, and change nothing')
  }
}
