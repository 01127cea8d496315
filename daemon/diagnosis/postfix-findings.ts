/** Whether Postfix queries the daemon, in as few words as `status` has room for. */

import { type Finding, same } from '../policy/finding.ts'
import type { PostfixStatus } from '../postfix/inspect.ts'
import type { Probe } from './probe.ts'

const DOCTOR = same('mtpolicyctl doctor')

/** Without a Postfix nothing queries the daemon. */
export function absentFinding(configDir: string, why: string): Finding {
  return {
    id: 'not-asked',
    subject: 'Postfix',
    severity: 'error',
    where: configDir,
    service: '',
    what: same(why),
    why: {
      en: 'without Postfix nothing queries the daemon',
      de: 'ohne Postfix fragt niemand den Dienst',
    },
    remedy: {
      en: 'apt install postfix, or name its configuration directory: --config-dir DIR',
      de: 'apt install postfix, oder das Konfigurationsverzeichnis angeben: --config-dir DIR',
    },
  }
}

/**
 * Anything by which mail from users may pass unchecked. `isLeftAlone`: the administrator looks after
 * Postfix, not this package (mtpolicyd/postfix/register).
 */
export function postfixFindings(status: PostfixStatus, isLeftAlone: boolean): Finding[] {
  const { configDir, absent, findings, services, item } = status
  if (absent !== undefined) return isLeftAlone ? [] : [absentFinding(configDir, absent)]
  const errors = findings.filter(({ severity }) => severity === 'error')
  if (errors.length > 0) return errors
  const changed = findings.filter(({ id }) => id === 'changed-since-reload')
  if (changed.length > 0) return changed
  const unsure = services.filter(({ answer }) => answer === 'perhaps' || answer === 'not asked')
  if (unsure.length > 0) return [mayPass(configDir, unsure.map(({ name }) => name).join(', '))]
  const isAsked = services.some(({ answer }) => answer === 'asked') || item !== undefined
  return isAsked || isLeftAlone ? [] : [notRegistered(configDir)]
}

function mayPass(configDir: string, names: string): Finding {
  return {
    id: 'mail-may-pass',
    subject: 'Postfix',
    severity: 'warning',
    where: configDir,
    service: names,
    what: {
      en: `mail from users may pass unchecked at ${names}`,
      de: `an ${names} kann Mail von Benutzern ungeprüft durchgehen`,
    },
    why: {
      en: 'the daemon neither counts nor limits mail that it is not queried about',
      de: 'Mail, zu der der Dienst nicht gefragt wird, wird weder gezählt noch begrenzt',
    },
    remedy: DOCTOR,
  }
}

function notRegistered(configDir: string): Finding {
  return {
    id: 'not-registered',
    subject: 'Postfix',
    severity: 'warning',
    where: configDir,
    service: '',
    what: { en: 'does not query the daemon', de: 'fragt den Dienst nicht' },
    why: {
      en: 'mail is neither counted nor limited',
      de: 'Mail wird weder gezählt noch begrenzt',
    },
    remedy: same('mtpolicyctl postfix register'),
  }
}

/** Where Postfix connects, something has to answer as the daemon does. */
export function silentServers(probes: readonly Probe[]): Finding[] {
  const silent = probes.filter(({ outcome }) => outcome !== 'answers').map(({ where }) => where)
  return [...new Set(silent)].map(where => ({
    id: 'no-answer',
    subject: 'Postfix',
    severity: 'error',
    where,
    service: '',
    what: {
      en: `queries ${where}, where nothing answers`,
      de: `fragt bei ${where}, wo nichts antwortet`,
    },
    why: {
      en: 'mail is accepted unchecked or deferred',
      de: 'Mail wird ungeprüft angenommen oder zurückgestellt',
    },
    remedy: DOCTOR,
  }))
}
