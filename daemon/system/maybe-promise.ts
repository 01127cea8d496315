/** What is there at once where it can be, without a promise: a promise costs a turn of the event loop. */

export type MaybePromise<T> = T | Promise<T>

/** `then` at once if the value is there, else when it comes. */
export function whenReady<T, R>(
  value: MaybePromise<T>,
  then: (value: T) => MaybePromise<R>,
): MaybePromise<R> {
  return value instanceof Promise ? value.then(then) : then(value)
}
