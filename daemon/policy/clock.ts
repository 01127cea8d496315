/**
 * Time as an argument. `now` is the wall clock in milliseconds since 1970; it can jump.
 * `elapsed` is monotonic, in milliseconds from an unspecified start: for durations only.
 */

export interface Clock {
  now(): number
  elapsed(): number
}

/** As a global it is looked up by a function of Node's, each time. */
const { performance } = globalThis

export const systemClock: Clock = {
  now: () => Date.now(),
  elapsed: () => performance.now(),
}
