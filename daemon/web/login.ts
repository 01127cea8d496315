/**
 * Login and logout. POST login {"token": …}: a link's, which the page takes from behind the `#` of its address
 * (`#login=TOKEN`), or one that was typed. POST logout {}.
 */

import { hostname } from 'node:os'
import { version } from '../version.ts'
import type { LoginLinks } from './login-links.ts'
import { json, WebError, type WholeReply } from './reply.ts'
import type { Route, Session } from './router.ts'
import { type Doors, mayFail } from './who.ts'

export interface LoginOptions extends Doors {
  readonly links: LoginLinks
  readonly log: (line: string) => void
  /** Logged with a bound, for anybody can make them. */
  readonly logFailure: (line: string) => void
}

export function loginRoutes({
  links,
  tokens,
  sessions,
  attempts,
  log,
  logFailure,
}: LoginOptions): readonly Route[] {
  function begun(secret: string, client: string) {
    const link = links.take(secret)
    if (link) return { ...link, token: undefined }
    const token = tokens.find(secret)
    if (token?.role === 'metrics') throw new WebError(403, 'this token is for /metrics only')
    if (token) return { name: token.name, role: token.role, token: token.name }
    mayFail(client, attempts)
    logFailure(`a login to the web console has failed, from ${client}`)
    throw new WebError(
      403,
      'this link or token is not valid; a link is good for one login within 10 minutes: mtpolicyctl web login',
    )
  }

  return [
    {
      method: 'POST',
      path: '/api/login',
      role: 'nobody',
      handle({ body }, { client, cookies, cookie }) {
        const login = begun(secretIn(body), client)
        for (const old of cookies) sessions.end(old)
        const { cookie: value, session } = sessions.begin(login)
        log(`${login.name} has logged in to the web console from ${client} (${login.role})`)
        return withCookie(json(shown(session)), cookie(value))
      },
    },
    {
      method: 'POST',
      path: '/api/logout',
      role: 'nobody',
      handle(_, { cookies, cookie }) {
        for (const old of cookies) sessions.end(old)
        return withCookie(json({}), cookie(undefined))
      },
    },
  ]
}

/** As api.ts has it. */
function shown({ name, role }: Session) {
  return { user: name, role, host: hostname(), version }
}

function withCookie(reply: WholeReply, cookie: string): WholeReply {
  return { ...reply, headers: { ...reply.headers, 'set-cookie': cookie } }
}

/** What was typed may be anything. */
function secretIn(body: unknown): string {
  if (typeof body === 'object' && body !== null && 'token' in body) {
    if (typeof body.token === 'string') return body.token.trim()
  }
  throw new WebError(400, 'expected {"token": …}: what is behind #login= in the link, or a token')
}
