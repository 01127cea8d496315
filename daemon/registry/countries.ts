/**
 * Guesses the country code that was meant: from an English or German country name, or a common
 * mistake ("UK"). Which codes exist is decided in policy/.
 */

import { countryCodes } from '../policy/country-codes.ts'
import { nearestName } from '../policy/problem.ts'

/** Codes often written by mistake, and the code that is meant. */
const HABITS: ReadonlyMap<string, string> = new Map([
  ['uk', 'GB'],
  ['england', 'GB'],
  ['el', 'GR'],
  ['usa', 'US'],
  ['holland', 'NL'],
])

let codesByName: Map<string, string> | undefined

/** The code that was probably meant by something that is not a code. */
export function countryMeantBy(text: string): string | undefined {
  codesByName ??= readNames()
  const folded = text.trim().toLowerCase()
  const exact = HABITS.get(folded) ?? codesByName.get(folded)
  if (exact !== undefined) return exact
  // Two or three letters are close to every other two or three letters, so do not guess.
  if (folded.length < 4) return undefined
  return codesByName.get(nearestName(folded, codesByName.keys()) ?? '')
}

function readNames(): Map<string, string> {
  const names = new Map<string, string>()
  for (const language of ['en', 'de']) {
    const display = new Intl.DisplayNames(language, { type: 'region' })
    for (const code of countryCodes) {
      const name = display.of(code)
      if (name !== undefined) names.set(name.toLowerCase(), code)
    }
  }
  return names
}
