/** What the configuration says about the console. */

import type { Globals } from '../config/globals.ts'
import type { WebSettings } from './web-messages.ts'

/** Undefined: there is none. */
export function webSettingsOf(globals: Globals): WebSettings | undefined {
  const { web_port: port, web_host: host, web_path: path, web_names: names } = globals
  if (port === undefined) return undefined
  return { port, host, path, names: names.map(name => name.toLowerCase()) }
}
