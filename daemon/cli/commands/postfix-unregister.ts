/** postfix unregister: takes back exactly what `register` did. */

import { unregister } from '../../postfix/registration/register.ts'
import { defineCommand } from '../command.ts'
import { postfixOptions } from '../options.ts'
import { postfixFor, RESULTS_JSON, showResults } from '../postfix-call.ts'

export const postfixUnregister = defineCommand({
  name: 'postfix unregister',
  group: 'postfix',
  summary: 'undo exactly what register changed',
  more: `
    Removes the item and reloads Postfix. The files are byte for byte what they were before,
    except for what others have changed since.
  `,
  json: RESULTS_JSON,
  options: postfixOptions,
  run: async ({ json, 'config-dir': configDirs }, host) =>
    showResults(host, await unregister(await postfixFor(host, configDirs)), json),
})
