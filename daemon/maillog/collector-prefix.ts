/**
 * What collectors of containers' logs put in front of a line, or around it:
 *
 *   postfix-mailcow_1  | Nov 30 20:41:02 host postfix/smtpd[123]: …          docker compose logs
 *   2026-11-30T19:41:02.238986028Z Nov 30 20:41:02 host postfix/…            docker logs -t
 *   2026-11-30T19:41:02.238986028Z stdout F Nov 30 20:41:02 host postfix/…   Kubernetes (CRI)
 *   {"log":"Nov 30 20:41:02 host postfix/smtpd[123]: …\n","stream":…}        Docker's json-file
 *   /var/log/mail.log.1:Nov 30 20:41:02 host postfix/smtpd[123]: …           grep in several files
 *
 * Only the line's own time counts. Lines that have none, as containers may write them, are left as they are.
 */

const CONTAINER = /^[\w.-]+ +\| /
const FILE = /^[\w.-]*\/[\w./-]+:(?:\d+:)?(?=[A-Z][a-z]{2} |\d{4}-|<)/
/** The time of Docker or Kubernetes; a time of the line itself follows. */
const RECEIVED =
  /^\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d) (?:(?:stdout|stderr) [FP] )?(?=[A-Z][a-z]{2} [ \d]\d |\d{4}-\d\d-\d\d[T ]|<\d)/
const JSON_FILE = '{"log":"'

export function withoutCollector(line: string): string {
  if (line.startsWith(JSON_FILE)) return withoutCollector(loggedIn(line))
  return line.replace(CONTAINER, '').replace(FILE, '').replace(RECEIVED, '')
}

function loggedIn(line: string): string {
  try {
    const { log }: { readonly log?: unknown } = JSON.parse(line)
    return typeof log === 'string' && !log.startsWith(JSON_FILE) ? log.replace(/\r?\n$/, '') : ''
  } catch {
    return ''
  }
}
