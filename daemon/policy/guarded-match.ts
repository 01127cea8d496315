/**
 * A match that is given up after a while. V8 offers that for scripts: a second thread watches the
 * time and interrupts also a regular expression. It costs 0.2 ms or so, and is only for what
 * may take long.
 */

import { type Context, createContext, Script } from 'node:vm'

/** Made when first needed: a context takes a megabyte. */
let guard: { readonly script: Script; readonly context: Context } | undefined

/** Undefined: it took longer than `milliseconds`, or more memory than there is for it. */
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
