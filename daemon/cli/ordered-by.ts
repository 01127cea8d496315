/**
 * Who orders a measure, for the audit: the person behind sudo, else the login, else the number of the user.
 * Nobody could lie about it who is not root already: the daemon's socket is closed to others.
 */

export function orderedBy({ SUDO_USER, LOGNAME }: NodeJS.ProcessEnv): string {
  return SUDO_USER || LOGNAME || `uid ${process.getuid?.() ?? '?'}`
}
