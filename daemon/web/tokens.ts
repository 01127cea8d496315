/**
 * Tokens: what programs log in with, and people without an account on this host. Their hashes are kept,
 * never they themselves: a token is shown once, when it is made.
 */

import type { NewWebToken, WebToken } from '../control/protocol.ts'
import { Ends } from './ends.ts'
import { KeptFile } from './kept-file.ts'
import { hashOf, isHash, newSecret } from './secret.ts'

const MOST_TOKENS = 100
/** Letters that need no quotes in a shell. */
const NAME = /^[\w.@-]{1,64}$/

/** metrics: `/metrics` and nothing else. */
export const TOKEN_ROLES = ['read', 'change', 'metrics'] as const
export type TokenRole = (typeof TOKEN_ROLES)[number]

interface KeptToken extends WebToken {
  readonly hash: string
}

export interface TokensOptions {
  readonly path: string
  readonly now: () => number
  readonly log: (line: string) => void
}

export class Tokens {
  readonly #file: KeptFile<KeptToken>
  readonly #now: () => number
  #byHash: ReadonlyMap<string, KeptToken>
  /** By name: those who want to know when it is removed. */
  readonly #ends = new Ends()

  constructor({ path, now, log }: TokensOptions) {
    this.#now = now
    this.#file = new KeptFile({
      path,
      parse: readToken,
      most: MOST_TOKENS,
      sync: 'file and folder',
      log,
    })
    this.#byHash = byHash(this.#file.read())
  }

  /** Whose it is. */
  find(secret: string): WebToken | undefined {
    return this.#byHash.get(hashOf(secret))
  }

  /** By name. */
  list(): readonly WebToken[] {
    return [...this.#byHash.values()]
      .map(({ name, role, at }) => ({ name, role, at }))
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
  }

  has(name: string): boolean {
    return [...this.#byHash.values()].some(one => one.name === name)
  }

  /** Called once, when it is removed; what it returns takes that back. */
  onEnd(name: string, ended: () => void): () => void {
    return this.#ends.on(name, ended)
  }

  /** Throws a message for the caller. */
  add(name: string, role: string): NewWebToken {
    const kept = [...this.#byHash.values()]
    const asked = roleNamed(role)
    if (!NAME.test(name)) {
      throw new Error('a name has 1 to 64 characters: letters, digits and . _ @ -')
    }
    if (!asked) throw new Error(`a role is one of ${TOKEN_ROLES.join(', ')}`)
    if (kept.some(one => one.name === name)) {
      throw new Error(`there is a token ${name} already; remove it first`)
    }
    if (kept.length >= MOST_TOKENS) throw new Error(`there are ${MOST_TOKENS} tokens already`)
    const secret = newSecret()
    const token = { name, role: asked, at: this.#now(), hash: hashOf(secret) }
    this.#keep([...kept, token])
    return { name, role: asked, at: token.at, secret }
  }

  /** Throws if there is none of that name. */
  remove(name: string): void {
    const kept = [...this.#byHash.values()]
    const left = kept.filter(one => one.name !== name)
    if (left.length === kept.length) throw new Error(`there is no token ${name}`)
    this.#keep(left)
    this.#ends.tell(name)
  }

  /** On the disk first: what was removed is not there again after a restart. */
  #keep(tokens: readonly KeptToken[]): void {
    this.#file.write(tokens)
    this.#byHash = byHash(tokens)
  }
}

function byHash(tokens: readonly KeptToken[]): ReadonlyMap<string, KeptToken> {
  return new Map(tokens.map(token => [token.hash, token]))
}

function roleNamed(text: unknown): TokenRole | undefined {
  return TOKEN_ROLES.find(one => one === text)
}

function readToken(item: unknown): KeptToken | undefined {
  if (typeof item !== 'object' || item === null) return undefined
  const { name, role, at, hash } = item as Readonly<Record<string, unknown>>
  const known = roleNamed(role)
  if (typeof name !== 'string' || !NAME.test(name) || !known) return undefined
  if (typeof at !== 'number' || typeof hash !== 'string' || !isHash(hash)) return undefined
  return { name, role: known, at, hash }
}
