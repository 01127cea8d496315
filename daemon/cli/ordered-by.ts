/**
 * Who orders a measure, for the audit: the person behind sudo, else the login, else the user of this process.
 * Nobody could lie about it who is not root already: the daemon's socket is closed to others.
 */

import { userInfo } from 'node:os'

export function orderedBy({ SUDO_USER, LOGNAME }: NodeJS.ProcessEnv): string {
  return SUDO_USER || LOGNAME || userOfProcess()
}

/** A timer or a container has no LOGNAME; a user without an entry in passwd has a number only. */
function userOfProcess(): string {
  try {
    return userInfo().username
  } catch {
    return `uid ${process.getuid?.() ?? '?'}`
  }
}
