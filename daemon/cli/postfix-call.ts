/** What the `postfix` commands have in common: which instances, and how results are shown. */

import type { DaemonStatus } from '../control/protocol.ts'
import type {
  RegistrationOptions,
  RegistrationResult,
} from '../postfix/registration/registration.ts'
import type { ExitStatus } from './command.ts'
import type { Host } from './host.ts'
import { resultText } from './postfix-text.ts'

/** Without `configDirs`, the instances are those that the host has. */
export async function postfixFor(
  host: Host,
  configDirs: readonly string[],
  status?: DaemonStatus | string,
): Promise<RegistrationOptions> {
  const options = host.postfix(status ?? (await host.daemon.status()))
  return configDirs.length === 0 ? options : { ...options, configDirs }
}

export function showResults(
  host: Host,
  results: readonly RegistrationResult[],
  json: boolean,
): ExitStatus {
  if (json) host.out(`${JSON.stringify(results, undefined, 2)}\n`)
  else for (const result of results) (result.ok ? host.out : host.err)(resultText(result))
  return results.every(({ ok }) => ok) ? 0 : 1
}

/** For the manual. */
export const RESULTS_JSON =
  'an array of {configDir, outcome, ok, reasons, notes, item, coverage, services, reloaded}.'
