/**
 * What a mail user reads when a limit refuses a message, in three languages.
 *
 * Without SMTPUTF8 a reply is ASCII (RFC 6531, 3.7.4.2), and mail programs show other letters as
 * garbage: so German is written with ae, oe and ue, and French without accents. Each text is one line
 * that a dialogue can show whole, at most 400 characters.
 */

import { german } from './text-de.ts'
import { english } from './text-en.ts'
import { french } from './text-fr.ts'
import type { Wording } from './wording.ts'

export const LANGUAGES = ['en', 'de', 'fr'] as const

export const wordings: Readonly<Record<(typeof LANGUAGES)[number], Wording>> = {
  en: english,
  de: german,
  fr: french,
}
