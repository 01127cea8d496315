/**
 * Who is logged in. The browser has a random secret in a cookie, the file has its hash; so a restart logs
 * nobody out, and reading the file logs nobody in. The secret is made here, at login: one
 * that a browser brings is never taken over (session fixation).
 */

import { describeError } from '../system/errors.ts'
import { Ends } from './ends.ts'
import { KeptFile } from './kept-file.ts'
import type { Role, Session } from './router.ts'
import { hashOf, isHash, newSecret } from './secret.ts'

/** Without a request for so long. */
const IDLE_MILLISECONDS = 2 * 3_600_000
/** Whatever is requested. */
const LONGEST_MILLISECONDS = 12 * 3_600_000
/** Beyond that, the one unused for longest is ended. */
const MOST_SESSIONS = 1000
/** With the same token, or by links of the same person; beyond that likewise. */
const MOST_OF_ONE = 100
/** What is in the file may be older than what is in memory. */
const NOTE_MILLISECONDS = 60_000
/** A cookie of another version is not a session. */
const COOKIE = /^1\.([\w-]{43})$/

export interface KeptSession extends Session {
  readonly hash: string
  /** The token it was begun with; undefined: a login link. */
  readonly token: string | undefined
  /** Milliseconds since 1970. */
  readonly used: number
}

export interface SessionsOptions {
  readonly path: string
  readonly now: () => number
  readonly log: (line: string) => void
}

interface Begin {
  readonly role: Role
  readonly name: string
  readonly token: string | undefined
}

export class Sessions {
  readonly #options: SessionsOptions
  readonly #file: KeptFile<KeptSession>
  /** By hash; the one unused for longest is first. */
  readonly #sessions: Map<string, KeptSession>
  /** Those who want to know the end of a session. */
  readonly #ends = new Ends()
  #notedAt = Number.NEGATIVE_INFINITY

  constructor(options: SessionsOptions) {
    this.#options = options
    const { path, log } = options
    this.#file = new KeptFile({
      path,
      parse: readSession,
      most: MOST_SESSIONS,
      sync: 'nothing',
      log,
    })
    const kept = this.#file.read().toSorted((a, b) => a.used - b.used)
    this.#sessions = new Map(kept.map(session => [session.hash, session]))
  }

  /** What the cookie is to be. */
  begin({ role, name, token }: Begin): { readonly cookie: string; readonly session: Session } {
    const secret = newSecret()
    const now = this.#options.now()
    const hash = hashOf(secret)
    const session = { role, name, token, hash, used: now, until: now + LONGEST_MILLISECONDS }
    this.#endOld(now)
    const own = [...this.#sessions.values()].filter(
      one => one.token === token && (token !== undefined || one.name === name),
    )
    const [unused] = own.length >= MOST_OF_ONE ? own : this.#sessions.values()
    const isFull = own.length >= MOST_OF_ONE || this.#sessions.size >= MOST_SESSIONS
    if (isFull && unused) this.#end(unused.hash)
    this.#sessions.set(hash, session)
    this.#note()
    return { cookie: `1.${secret}`, session }
  }

  /** The session of a cookie, which is not idle then. */
  find(cookie: string): KeptSession | undefined {
    const hash = hashIn(cookie)
    const session = hash === undefined ? undefined : this.#sessions.get(hash)
    if (!session) return undefined
    const now = this.#options.now()
    if (isOver(session, now)) {
      this.#end(session.hash)
      this.#note()
      return undefined
    }
    const used = { ...session, used: now }
    this.#sessions.delete(session.hash)
    this.#sessions.set(session.hash, used)
    if (now - this.#notedAt >= NOTE_MILLISECONDS) this.#note()
    return used
  }

  /** For a page that only looks on. */
  isGoingOn({ hash }: KeptSession): boolean {
    const session = this.#sessions.get(hash)
    return session !== undefined && !isOver(session, this.#options.now())
  }

  end(cookie: string): void {
    const hash = hashIn(cookie)
    if (hash === undefined || !this.#sessions.has(hash)) return
    this.#end(hash)
    this.#note()
  }

  /** All that were begun with this token. */
  endOfToken(name: string): void {
    const own = [...this.#sessions.values()].filter(({ token }) => token === name)
    for (const { hash } of own) this.#end(hash)
    if (own.length > 0) this.#note()
  }

  /** Called once, when it ends before its time; what it returns takes that back. */
  onEnd({ hash }: KeptSession, ended: () => void): () => void {
    return this.#ends.on(hash, ended)
  }

  /** At the thread's end. */
  close(): void {
    this.#note()
  }

  #endOld(now: number): void {
    for (const session of [...this.#sessions.values()]) {
      if (isOver(session, now)) this.#end(session.hash)
    }
  }

  #end(hash: string): void {
    this.#sessions.delete(hash)
    this.#ends.tell(hash)
  }

  /** Without the file, a restart logs everybody out; one that is too old would log in who has logged out. */
  #note(): void {
    this.#notedAt = this.#options.now()
    try {
      this.#file.write([...this.#sessions.values()])
    } catch (error) {
      this.#options.log(`sessions are lost at the next restart: ${describeError(error)}`)
      this.#file.remove()
    }
  }
}

function hashIn(cookie: string): string | undefined {
  const secret = COOKIE.exec(cookie)?.[1]
  return secret === undefined ? undefined : hashOf(secret)
}

/** Also if the clock was set back meanwhile, by more than a session may last. */
function isOver({ used, until }: KeptSession, now: number): boolean {
  return now >= until || now - used >= IDLE_MILLISECONDS || until - now > LONGEST_MILLISECONDS
}

function readSession(item: unknown): KeptSession | undefined {
  if (typeof item !== 'object' || item === null) return undefined
  const { hash, name, role, token, used, until } = item as Readonly<Record<string, unknown>>
  if (typeof hash !== 'string' || !isHash(hash) || typeof name !== 'string') return undefined
  if (role !== 'read' && role !== 'change') return undefined
  if (typeof used !== 'number' || typeof until !== 'number') return undefined
  return { hash, name, role, token: typeof token === 'string' ? token : undefined, used, until }
}
