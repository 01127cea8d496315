/** The console's texts: a text that is missing in one language is an error of the compiler. */

import type { Language } from '../../api.ts'
import { de } from './de.ts'
import { en } from './en.ts'

export type Texts = typeof en

export const texts: Readonly<Record<Language, Texts>> = { en, de }
