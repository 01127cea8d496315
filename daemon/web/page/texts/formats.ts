/** Numbers, times and countries as the reader writes them. */

import type { Language } from '../../api.ts'

export interface Formats {
  number(value: number): string
  /** `3 Mar, 14:05`; with the year if it is another one. */
  time(at: number | string): string
  /** `14:05:31` */
  clock(at: number): string
  /** `Tue 14:00`, for an hour of a plot. */
  hour(at: number): string
  bytes(value: number): string
  percent(part: number, of: number): string
  /** `Spain`; the code itself if it has no name. */
  country(code: string): string
}

const LOCALES = { en: 'en-GB', de: 'de-DE' } as const

export function formatsOf(language: Language): Formats {
  const locale = LOCALES[language]
  const whole = new Intl.NumberFormat(locale)
  const oneDigit = new Intl.NumberFormat(locale, { maximumFractionDigits: 1 })
  const share = new Intl.NumberFormat(locale, { style: 'percent', maximumFractionDigits: 1 })
  const dayAndTime = { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' } as const
  const time = new Intl.DateTimeFormat(locale, dayAndTime)
  const timeAndYear = new Intl.DateTimeFormat(locale, { ...dayAndTime, year: 'numeric' })
  const clock = new Intl.DateTimeFormat(locale, { timeStyle: 'medium' })
  const hour = new Intl.DateTimeFormat(locale, {
    weekday: 'short',
    day: 'numeric',
    month: 'short',
    hour: '2-digit',
    minute: '2-digit',
  })
  const countries = new Intl.DisplayNames(locale, { type: 'region', fallback: 'code' })
  return {
    number: value => whole.format(value),
    time: at => {
      const date = new Date(at)
      if (Number.isNaN(date.getTime())) return String(at)
      const isThisYear = date.getFullYear() === new Date().getFullYear()
      return (isThisYear ? time : timeAndYear).format(date)
    },
    clock: at => clock.format(at),
    hour: at => hour.format(at),
    bytes: value => {
      if (value < 1000) return `${whole.format(value)} B`
      const steps = ['kB', 'MB', 'GB', 'TB'] as const
      const power = Math.min(Math.floor(Math.log10(value) / 3), steps.length)
      return `${oneDigit.format(value / 1000 ** power)} ${steps[power - 1]}`
    },
    percent: (part, of) => share.format(of === 0 ? 0 : part / of),
    country: code => {
      // What is no code of a region throws: it comes from a database, or from a test.
      if (!/^[A-Z]{2}$/.test(code)) return code
      return countries.of(code) ?? code
    },
  }
}
