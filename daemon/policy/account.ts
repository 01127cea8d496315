/**
 * Whose mail it is: `sasl_username`, folded so that one account has one name.
 *
 * Cyrus SASL reports the name as it was typed, with or without realm (observed with Postfix 3.7),
 * so case is folded and an optional default domain is cut.
 */

/** `defaultDomain` without "@"; empty cuts nothing. An empty result means: not authenticated. */
export function accountName(saslUsername: string, defaultDomain: string): string {
  const folded = saslUsername.normalize('NFC').toLowerCase()
  if (defaultDomain === '') return folded
  const suffix = `@${defaultDomain.toLowerCase()}`
  return folded.length > suffix.length && folded.endsWith(suffix)
    ? folded.slice(0, -suffix.length)
    : folded
}
