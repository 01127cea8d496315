/** The login link that `mtpolicyctl web` prints: ADDRESS/#login=TOKEN. What follows the # is sent to no server. */

export function loginLinkOf(hash: string): string | undefined {
  return /^#login=([\w.~-]+)$/.exec(hash)?.[1]
}
