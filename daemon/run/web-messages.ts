/** What the daemon and the console's thread tell each other. */

import type { Paths } from '../assembly/paths.ts'
import type { NewWebToken, WebLink, WebToken } from '../control/protocol.ts'
import type { AnswerMessage, AskMessage, CloseMessage } from '../system/kept-thread.ts'

/** In the state folder: who is logged in. */
export const SESSIONS_FILE = 'web-sessions.json'

/** From the configuration. */
export interface WebSettings {
  /** Not used where `host` is a path. */
  readonly port: number
  /** A name, an address, or the absolute path of a unix socket. */
  readonly host: string
  /** Behind a reverse proxy: empty, or `/mail`, without a slash at the end. */
  readonly path: string
  /** Names by which a reverse proxy is reached, in lower case. */
  readonly names: readonly string[]
}

/** What the thread is started with. */
export interface WebStart {
  readonly settings: WebSettings
  readonly paths: Paths
}

/** Queries with their answers. */
export interface WebAnswers {
  login: WebLink
  tokens: readonly WebToken[]
  'token add': NewWebToken
  'token remove': Record<never, never>
}
export type WebQuestion =
  | { readonly what: 'login'; readonly role: string; readonly by: string }
  | { readonly what: 'tokens' }
  | { readonly what: 'token add'; readonly name: string; readonly role: string }
  | { readonly what: 'token remove'; readonly name: string }

export type ToWebThread = AskMessage<WebQuestion> | CloseMessage

export type WebNews =
  | {
      readonly kind: 'state'
      readonly address: string
      /** Why it listens nowhere. */
      readonly problem: string | undefined
    }
  | { readonly kind: 'log'; readonly level: 'event' | 'warning'; readonly line: string }
export type FromWebThread = AnswerMessage | WebNews
