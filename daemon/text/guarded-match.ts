/**
 * A match that is abandoned after a while. V8 offers this for scripts: a second thread watches the
 * time and can interrupt a regular expression. It costs about 0.2 ms, so it is used only for matches
 * that may take long.
 */

import { type Context, createContext, Script } from 'node:vm'

/** Created on first use: a context takes a megabyte. */
let guard: { readonly script: Script; readonly context: Context } | undefined

/** Undefined: it took longer than `milliseconds`, or ran out of memory. */
export function matchWithin(
  milliseconds: number,
  pattern: RegExp,
  text: string,
): boolean | undefined {
  guard ??= { script: new Script('pattern.test(text)'), context: createContext({}) }
  const { script, context } = guard
  context.pattern = pattern
  context.text = text
  try {
    return script.runInContext(context, { timeout: milliseconds }) === true
  } catch {
    return undefined
  } finally {
    context.pattern = undefined
    context.text = undefined
  }
}
