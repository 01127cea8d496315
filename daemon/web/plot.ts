/** Sums of hours as a plot takes them: so many steps as fit a screen, each of one or of several hours. */

import type { HourlySums } from '../policy/ports/history.ts'
import type { Series } from './api.ts'

const HOUR = 3_600_000
const MOST_STEPS = 2000
/** Hours of a step; days of the week do not shift against them. */
const STEPS = [1, 2, 3, 6, 12, 24]

export function plotOf({ first, messages, recipients, refused }: HourlySums): Series {
  const hours = STEPS.find(step => messages.length / step <= MOST_STEPS) ?? 24
  const step = hours * HOUR
  const from = Math.floor(first / step) * step
  const count = Math.ceil((first - from) / step + messages.length / hours)
  const times = Array.from({ length: count }, (_, at) => from + at * step)
  const column = (sums: readonly number[]): readonly number[] => {
    const result = Array.from({ length: count }, () => 0)
    for (const [at, sum] of sums.entries()) {
      const place = Math.floor((first - from + at * HOUR) / step)
      result[place] = (result[place] ?? 0) + sum
    }
    return result
  }
  return {
    step,
    times,
    messages: column(messages),
    recipients: column(recipients),
    refused: column(refused),
  }
}
