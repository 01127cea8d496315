/**
 * What we tell Postfix to do with the mail: an action of access(5), as text.
 *
 * An answer is always one line. Text that comes from a configuration, a database or a remote
 * server is flattened here, at the only place where answers are made, so that nothing can add a
 * line of its own to the protocol. A tab is kept: it is harmless and existing files use it. The
 * line ends after 4096 characters: a reply of SMTP has 512 (RFC 5321, 4.5.3.1.5), a line of a mail
 * 998 (RFC 5322, 2.1.1), and strangers' explanations have no end.
 */

import { nearestName } from './problem.ts'

export interface Verdict {
  /** First word and its text, e.g. `reject You may not`. */
  readonly action: string
  /** Name of the plugin that decided; empty when nobody did. */
  readonly by: string
  /** No answer at all: the connection is closed (`on_failure = close`). */
  readonly silent?: true
}

/** An action that was decided, and the plugin that did: the outermost one it came through. */
export interface Decision {
  readonly action: string
  readonly by: string
}

/** An action, its text included. */
const MOST_CHARACTERS = 4096

const LINE_BREAKERS = /[[\p{Cc}\u2028\u2029]--[\t]]+/gv

/** One line of well-formed UTF-8 without control characters. */
export function oneLine(text: string): string {
  if (text === dunno) return text
  const short = text.length > MOST_CHARACTERS ? text.slice(0, MOST_CHARACTERS) : text
  return short.replace(LINE_BREAKERS, ' ').toWellFormed()
}

export const dunno = 'dunno'

export function reject(text: string): string {
  return `reject ${text}`
}

export function defer(text: string): string {
  return `defer ${text}`
}

export function prepend(header: string, value: string): string {
  return `PREPEND ${header}: ${value}`
}

/** Does this action keep mail from going its way? */
export function isObjection(action: string): boolean {
  if (action === dunno) return false
  return !/^\s*(?:dunno|ok|permit|prepend|warn|info|\d+(?![\s\S])|)(?:\s|$)/i.test(action)
}

/**
 * Does Postfix not take the mail, or this recipient, over? Held, discarded and redirected mail it does.
 * The name of a restriction class may mean anything; it is taken for one that accepts. A number alone,
 * such as 550, Postfix takes for OK.
 */
export function refusesMail(action: string): boolean {
  if (action === dunno) return false
  return /^\s*(?:(?:reject|defer|defer_if_permit)(?:\s|$)|[45]\d\d\s)/i.test(action)
}

/** What an action comes to, for counting. */
export type ActionKind = (typeof ACTION_KINDS)[number]

/**
 * `other`: what Postfix does depends on more than this answer (discard, redirect, filter, a restriction
 * class); `none`: there was no answer.
 */
export const ACTION_KINDS = ['accept', 'refuse', 'defer', 'hold', 'other', 'none'] as const

const KINDS: ReadonlyMap<string, ActionKind> = new Map([
  ...['', 'dunno', 'ok', 'permit', 'prepend', 'warn', 'info'].map(one => [one, 'accept'] as const),
  ['reject', 'refuse'],
  ['defer', 'defer'],
  ['defer_if_permit', 'defer'],
  ['hold', 'hold'],
])

/** `sent`: the action Postfix was told; undefined if there was no answer. */
export function kindOfAction(sent: string | undefined): ActionKind {
  if (sent === dunno) return 'accept'
  if (sent === undefined) return 'none'
  const [, word = '', digits] = /^\s*((\d+)(?=\s|$)|\S*)/.exec(sent) ?? []
  if (digits === undefined) return KINDS.get(word.toLowerCase()) ?? 'other'
  return !refusesMail(sent) ? 'accept' : digits.startsWith('5') ? 'refuse' : 'defer'
}

/**
 * An action that refuses mail, with the code of its decision at the end (`reject Not today (K3F-9QT)`). Still
 * one line; where it would become too long, its text is cut, never the code. Without the spaces before it,
 * which keep Postfix from reading the text.
 */
export function withCode(action: string, code: string): string {
  const end = ` (${code})`
  return (
    action
      .trimStart()
      .slice(0, MOST_CHARACTERS - end.length)
      .toWellFormed() + end
  )
}

/** First words that Postfix's smtpd understands by itself (access(5), Postfix 3.11), lower case. */
const VERBS: ReadonlySet<string> = new Set([
  'ok',
  'permit',
  'dunno',
  'reject',
  'defer',
  'defer_if_permit',
  'defer_if_reject',
  'discard',
  'hold',
  'filter',
  'redirect',
  'bcc',
  'prepend',
  'info',
  'warn',
])

/**
 * Is this action one that Postfix knows? Anything else is a restriction class of the
 * administrator's, or a mistake that Postfix answers with 451 4.3.5 (postfix 3.7, observed).
 */
export function isKnownAction(action: string): boolean {
  const word = action.trimStart().split(/\s/, 1)[0] ?? ''
  return VERBS.has(word.toLowerCase()) || /^[45]\d\d$/.test(word) || /^\d+$/.test(word)
}

/** What to tell the operator about an action that Postfix may not understand; undefined if it does. */
export function actionWarning(action: string): string | undefined {
  const word = action.trimStart().split(/\s/, 1)[0] ?? ''
  if (word === '') return 'an empty action is answered as "dunno"; Postfix would take it for OK'
  if (isKnownAction(action)) return undefined
  const near = nearestName(word, VERBS)
  return (
    `"${word}" is not an action of access(5)${near ? `; did you mean "${near}"?` : ''}` +
    ' (right only if it names a restriction class of yours)'
  )
}
