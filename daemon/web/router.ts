/**
 * A plain table: method and path → handler, and the role that it needs. Everything a handler gets has been
 * checked: the host name, the session, the role, and for a POST where it comes from and that it is JSON.
 *
 *   export const accountRoutes: MakeRoutes = ({ daemon }) => [
 *     {
 *       method: 'GET',
 *       path: '/api/account/:name',
 *       role: 'read',
 *       handle: async ({ params }) => json(await daemon.call('user', { name: params.name ?? '' })),
 *     },
 *   ]
 */

import type { Paths } from '../assembly/paths.ts'
import type { Clock } from '../system/clock.ts'
import type { Daemon } from './daemon.ts'
import type { Reply } from './reply.ts'

/** change: everything that read may, and POSTs. nobody: without a session, such as the login. */
export type Role = 'read' | 'change'
export type Needed = Role | 'nobody'

export interface Context {
  readonly method: 'GET' | 'POST'
  /** Below the prefix, without the query. */
  readonly path: string
  /** `:name` of the path, decoded: any characters, `/` included. */
  readonly params: Readonly<Record<string, string>>
  readonly query: URLSearchParams
  /** What a POST has brought: an object or anything else, not checked further. */
  readonly body: unknown
  /** Undefined only where `role` is nobody. */
  readonly session: Session | undefined
  /** What orders are noted as ordered by, such as `console (root)`; never empty. */
  readonly by: string
  /** What the browser asks for (Accept-Language), or `?lang=`. */
  readonly language: 'en' | 'de'
  /** Aborted when the browser has gone, and when the daemon stops. */
  readonly signal: AbortSignal
}

/** Who is logged in. */
export interface Session {
  readonly role: Role
  /** What the token is called; for a login link, who has made it. */
  readonly name: string
  /** Milliseconds since 1970. */
  readonly until: number
}

/** What it throws is told as `{"error": text}`: WebError with its status, anything else with 500. */
export type Handler = (context: Context, exchange: Exchange) => Reply | Promise<Reply>

/** What login and logout need, and no other handler does. */
export interface Exchange {
  /** Where the browser is, as far as that is known. */
  readonly client: string
  /** What it has as our cookie; possibly several, possibly nonsense. */
  readonly cookies: readonly string[]
  /** The header that changes its cookie; undefined: deletes it. */
  readonly cookie: (value: string | undefined) => string
}

export interface Route {
  readonly method: 'GET' | 'POST'
  /** Below the prefix; `:name` stands for one segment, which is decoded. */
  readonly path: string
  readonly role: Needed
  readonly handle: Handler
}

/** What all routes share; lives as long as the thread. */
export interface Services {
  readonly daemon: Daemon
  readonly paths: Paths
  readonly clock: Pick<Clock, 'now' | 'after'>
  /** One line into the daemon's log. */
  readonly log: (line: string) => void
}

export type MakeRoutes = (services: Services) => readonly Route[]

export interface Found {
  readonly route: Route
  readonly params: Readonly<Record<string, string>>
}

/** Where no path fits: `no page`; where only the method does not: those that do. */
export type Routed = Found | 'no page' | { readonly allowed: readonly string[] }

export class Router {
  readonly #routes: readonly { readonly route: Route; readonly segments: readonly string[] }[]

  constructor(routes: readonly Route[]) {
    this.#routes = routes.map(route => ({ route, segments: route.path.split('/') }))
  }

  /** @param path below the prefix, as it was sent. */
  find(method: string, path: string): Routed {
    const given = path.split('/')
    const fitting = this.#routes.flatMap(({ route, segments }) => {
      const params = match(segments, given)
      return params === undefined ? [] : [{ route, params }]
    })
    // A name that is written out comes before one that stands for any.
    const asked = method === 'HEAD' ? 'GET' : method
    const found = fitting
      .filter(({ route }) => route.method === asked)
      .toSorted((a, b) => Object.keys(a.params).length - Object.keys(b.params).length)[0]
    if (found) return found
    if (fitting.length === 0) return 'no page'
    return { allowed: [...new Set(fitting.map(({ route }) => route.method))] }
  }
}

function match(
  segments: readonly string[],
  given: readonly string[],
): Record<string, string> | undefined {
  if (segments.length !== given.length) return undefined
  const params: Record<string, string> = {}
  for (const [index, segment] of segments.entries()) {
    const text = given[index] ?? ''
    if (!segment.startsWith(':')) {
      if (segment !== text) return undefined
      continue
    }
    const value = decoded(text)
    if (value === undefined || value === '') return undefined
    params[segment.slice(1)] = value
  }
  return params
}

/** Undefined: percent signs that are not UTF-8. */
function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
