/** For mtpolicyd-limits(7): what users read in which situation, from the texts of the program itself. */

import { MEGABYTE } from '../daemon/plugins/limit/amount.ts'
import { timeText } from '../daemon/plugins/limit/own-text.ts'
import { LANGUAGES, wordings } from '../daemon/plugins/limit/texts.ts'
import type { Refusal, Wording } from '../daemon/plugins/limit/wording.ts'
import { wrap } from '../daemon/text/wrap.ts'
import type { Language } from './roff.ts'

/** Longest line of an example, so that the page has 80. */
const COLUMNS = 66

export interface Situation {
  readonly title: Readonly<Record<Language, string>>
  text(wording: Wording): string
}

const HOUR = { milliseconds: 3_600_000 }
const timeOf = timeText('Europe/Berlin')
const midnight = timeOf(Date.UTC(2026, 10, 20, 23))
const soon = timeOf(Date.UTC(2026, 10, 20, 13, 1))

const usual: Refusal = {
  unit: 'recipients',
  window: 'day',
  whom: undefined,
  limit: 100,
  left: 0,
  amount: 1,
  again: midnight,
}

const refused = (change: Partial<Refusal>): Situation['text'] => {
  return wording => wording.refused({ ...usual, ...change })
}

export const situations: readonly Situation[] = [
  {
    title: {
      en: 'The limit of a day is reached',
      de: 'Das Limit eines Tages ist erreicht',
    },
    text: refused({}),
  },
  {
    title: {
      en: 'The message has more recipients than are left',
      de: 'Die Nachricht hat mehr Empfänger, als noch übrig sind',
    },
    text: refused({ left: 3, amount: 5 }),
  },
  {
    title: {
      en: 'The limit of a rolling window is reached',
      de: 'Das Limit eines gleitenden Fensters ist erreicht',
    },
    text: refused({ window: HOUR, limit: 20, again: soon }),
  },
  {
    title: {
      en: 'It has less room than the message needs',
      de: 'Es hat weniger Platz, als die Nachricht braucht',
    },
    text: refused({ window: HOUR, limit: 20, left: 3, amount: 5, again: soon }),
  },
  {
    title: {
      en: 'It never has that much',
      de: 'So viel Platz hat es nie',
    },
    text: refused({ window: HOUR, limit: 20, left: 20, amount: 25, again: undefined }),
  },
  {
    title: {
      en: 'The limit of a domain is reached',
      de: 'Das Limit einer Domain ist erreicht',
    },
    text: wording => refused({ whom: wording.domain('example.org') })(wording),
  },
  {
    title: {
      en: 'The limit in megabytes is reached',
      de: 'Das Limit in Megabyte ist erreicht',
    },
    text: refused({ unit: 'bytes', limit: 100 * MEGABYTE, amount: 2 * MEGABYTE }),
  },
  {
    title: {
      en: 'The limit is 0',
      de: 'Das Limit ist 0',
    },
    text: refused({ limit: 0 }),
  },
  {
    title: {
      en: 'A single message has too many recipients',
      de: 'Eine einzelne Nachricht hat zu viele Empfänger',
    },
    text: ({ tooManyRecipients }) => tooManyRecipients(10),
  },
  {
    title: {
      en: 'A single message is too big',
      de: 'Eine einzelne Nachricht ist zu groß',
    },
    text: ({ tooBig }) => tooBig(25 * MEGABYTE, 31_400_000),
  },
]

/** In the markup of roff.ts. */
export function refusalsText(language: Language): string {
  return situations
    .map(({ title, text }) => {
      const texts = LANGUAGES.map(one => wrap(text(wordings[one]), COLUMNS).join('\n    '))
      return `## ${title[language]}\n\n  ${texts.join('\n  ')}`
    })
    .join('\n\n')
}
