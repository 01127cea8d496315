/** Logins to the console: its thread has them. */

import type { Control } from '../../control/control.ts'
import type { WebConsole } from '../web-console.ts'

type WebCommands = Pick<Control, 'webLogin' | 'webTokens' | 'webTokenAdd' | 'webTokenRemove'>

export function webCommands(web: WebConsole): WebCommands {
  return {
    webLogin: ({ role = 'change', by = 'root' }) => web.ask<'login'>({ what: 'login', role, by }),
    webTokens: () => web.ask<'tokens'>({ what: 'tokens' }),
    webTokenAdd: ({ name = '', role = '' }) =>
      web.ask<'token add'>({ what: 'token add', name, role }),
    webTokenRemove: ({ name = '' }) => web.ask<'token remove'>({ what: 'token remove', name }),
  }
}
