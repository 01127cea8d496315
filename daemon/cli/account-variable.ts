/**
 * A host variable of one account, set as `mtpolicyctl set` does: checked, rendered, in effect at once; on a
 * UCS server by ucr.
 */

import { existsSync, readFileSync } from 'node:fs'
import { nameKey } from '../registry/name-key.ts'
import { variableToSet } from '../registry/rendered-blocks.ts'
import { isGenerated } from '../registry/template-files.ts'
import type { ExitStatus } from './command.ts'
import { set } from './commands/set.ts'
import type { Host } from './host.ts'
import { jsonText } from './json-text.ts'

/** `mtpolicyd/user/NAME/…`, with the default domain in NAME if it is set so already. */
export const accountVariable = ({ registry }: Host, account: string, what: string): string =>
  variableToSet(`mtpolicyd/${what}`, account, registry.open().values()) ??
  `mtpolicyd/user/${nameKey(account)}/${what}`

/** Throws, with nothing changed, where host variables have no effect. */
export async function setVariable(
  host: Host,
  isJson: boolean,
  variable: string,
  value: string,
): Promise<ExitStatus> {
  const { config } = host.paths
  if (existsSync(config) && !isGenerated(readFileSync(config, 'utf8'))) {
    throw new Error(
      `${config} was written by hand, so host variables have no effect: change it there, or add --until for a measure that ends`,
    )
  }
  const out = isJson ? (): void => undefined : host.out
  const status = await set.run({ operands: [`${variable}=${value}`] }, { ...host, out })
  if (status !== 0) return status
  host.out(
    isJson
      ? jsonText({ variable, value })
      : `In effect for good. To take it back:\n  mtpolicyctl unset ${variable}\n`,
  )
  return 0
}
