/** What every page needs: who is logged in, the language, and a line that tells what an act has done. */

import { createContext } from 'preact'
import { useContext } from 'preact/hooks'
import type { Language, Session } from '../../api.ts'
import { en } from '../texts/en.ts'
import { type Formats, formatsOf } from '../texts/formats.ts'
import type { Texts } from '../texts/texts.ts'

export interface Console {
  readonly session: Session | undefined
  readonly mayChange: boolean
  readonly language: Language
  readonly t: Texts
  readonly f: Formats
  /** Shown for some seconds, and read out. */
  readonly tell: (message: string) => void
}

export const ConsoleContext = createContext<Console>({
  session: undefined,
  mayChange: false,
  language: 'en',
  t: en,
  f: formatsOf('en'),
  tell: () => undefined,
})

export const useConsole = (): Console => useContext(ConsoleContext)
