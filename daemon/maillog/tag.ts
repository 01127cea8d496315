/**
 * `postfix/submission/smtpd[123]`: which program of which service wrote a line. The name in front is
 * the parameter syslog_name, which may be anything, slashes included.
 */

/** Names that a program of Postfix logs under. */
const PROGRAMS: ReadonlySet<string> = new Set(
  (
    'anvil bounce cleanup defer discard dnsblog error flush lmtp local master nqmgr oqmgr pickup pipe ' +
    'postalias postcat postconf postdrop postfix postfix-script postfix-tlsproxy postfix-wrapper ' +
    'postkick postlock postlog postlogd postmap postmulti postqueue postscreen postsuper ' +
    'proxymap proxywrite qmgr qmqpd relay retry scache sendmail showq smtp smtpd spawn tlsmgr ' +
    'tlsproxy trace trivial-rewrite verify virtual'
  ).split(' '),
)

export interface Tag {
  readonly syslogName: string
  readonly program: string
}

/** Most lines come from a few programs: what their tags mean is kept. */
const known = new Map<string, Tag | undefined>()
const MOST_KNOWN = 1000

/** Undefined if no program of Postfix has this tag. */
export function readTag(tag: string): Tag | undefined {
  const before = known.get(tag)
  if (before !== undefined || known.has(tag)) return before
  const read = splitTag(tag)
  if (known.size >= MOST_KNOWN) known.clear()
  known.set(tag, read)
  return read
}

function splitTag(tag: string): Tag | undefined {
  const slash = tag.lastIndexOf('/')
  // Spaces: a program that logs without a tag, and whose text may be anybody's.
  if (slash <= 0 || tag.includes(' ')) return undefined
  const program = tag.slice(slash + 1)
  if (!PROGRAMS.has(program) && !(tag.startsWith('postfix') && /^[\w-]+$/.test(program))) {
    return undefined
  }
  return { syslogName: tag.slice(0, slash), program }
}
