/** What is wrong with the running daemon, by what it reports of itself. */

import { type Finding, same, type Words } from '../policy/finding.ts'
import { alertFindings } from './alert-findings.ts'
import type { DaemonStatus } from './protocol.ts'
import { webFindings } from './web-findings.ts'

/** Country data this old counts as outdated. */
const OLD_DAYS = 365

const LOG: Words = {
  en: 'for the reason: journalctl -u univention-mtpolicyd',
  de: 'den Grund nennt journalctl -u univention-mtpolicyd',
}

export function daemonFindings(running: DaemonStatus): Finding[] {
  return [
    ...listeningFindings(running),
    ...requestFindings(running),
    ...countFindings(running),
    ...limitFindings(running),
    ...measureFindings(running),
    ...geoipFindings(running),
    ...dnsFindings(running),
    ...pluginFindings(running),
    ...serviceFindings(running),
    ...mailLogFindings(running),
    ...historyFindings(running),
    ...webFindings(running),
    ...alertFindings(running),
    ...logFindings(running),
    ...modeFindings(running),
  ]
}

function listeningFindings({ endpoints, configuration }: DaemonStatus): Finding[] {
  if (endpoints.length > 0) return []
  return [
    {
      id: 'not-listening',
      subject: 'listening',
      severity: 'error',
      where: configuration,
      service: '',
      what: {
        en: 'the daemon does not listen on any port',
        de: 'der Dienst lauscht auf keinem Port',
      },
      why: { en: 'Postfix cannot reach it', de: 'Postfix kann ihn nicht erreichen' },
      remedy: same('systemctl restart univention-mtpolicyd'),
    },
  ]
}

function requestFindings({ failures, requests, configuration }: DaemonStatus): Finding[] {
  if (failures === 0) return []
  return [
    {
      id: 'requests-failed',
      subject: 'requests',
      severity: 'warning',
      where: configuration,
      service: '',
      what: {
        en: `${failures} of ${requests} requests failed`,
        de: `${failures} von ${requests} Anfragen sind fehlgeschlagen`,
      },
      why: {
        en: 'they were answered as on_failure says: by default the mail was accepted unchecked',
        de: 'sie wurden nach on_failure beantwortet: in der Voreinstellung wurde die Mail ungeprüft angenommen',
      },
      remedy: LOG,
    },
  ]
}

function countFindings({ store }: DaemonStatus): Finding[] {
  if (store.state === 'ok' || store.state === 'not used') return []
  return [
    {
      id: 'counts-not-durable',
      subject: 'counts',
      severity: 'warning',
      where: store.path,
      service: '',
      what: {
        en: store.state,
        de: `die Zählerstände werden nicht dauerhaft gespeichert (${store.state})`,
      },
      why: {
        en: 'a restart may lose them, and users could then send more than they are allowed to',
        de: 'ein Neustart kann sie verlieren, und Benutzer könnten dann mehr senden als erlaubt',
      },
      remedy: {
        en: 'make that file writable for the user univention-mtpolicyd; then: systemctl restart univention-mtpolicyd',
        de: 'die Datei für den Benutzer univention-mtpolicyd beschreibbar machen; dann: systemctl restart univention-mtpolicyd',
      },
    },
  ]
}

function geoipFindings({ geoip }: DaemonStatus): Finding[] {
  const common = {
    subject: 'GeoIP',
    severity: 'warning',
    where: geoip.path,
    service: '',
    remedy: same('apt install tor-geoipdb; mtpolicyctl geoip update'),
  } as const
  if (geoip.state !== 'current') {
    return [
      {
        ...common,
        id: 'geoip-unreadable',
        what: {
          en: geoip.problem ?? 'there is no country data',
          de: geoip.problem ?? 'es gibt keine Länderdaten',
        },
        why: {
          en: 'without country data, no mail is refused because of its country',
          de: 'ohne Länderdaten wird keine Mail wegen ihres Herkunftslandes abgelehnt',
        },
      },
    ]
  }
  const days = Math.floor(geoip.ageDays ?? 0)
  if (days < OLD_DAYS) return []
  return [
    {
      ...common,
      id: 'geoip-old',
      what: {
        en: `the country data is ${days} days old`,
        de: `die Länderdaten sind ${days} Tage alt`,
      },
      why: {
        en: 'some addresses belong to other countries by now',
        de: 'manche Adressen gehören inzwischen zu anderen Ländern',
      },
    },
  ]
}

/** A list that does not work protects nobody. */
function dnsFindings({ dns }: DaemonStatus): Finding[] {
  const { questions, failures, servers, silent, refusing } = dns
  const common = { severity: 'warning', service: '' } as const
  const ofServers: Finding[] =
    questions === 0 || failures < questions
      ? []
      : [
          {
            ...common,
            id: 'dns-failing',
            subject: 'DNS',
            where: servers.join(' '),
            what: {
              en: `all ${questions} DNS queries failed`,
              de: `alle ${questions} DNS-Anfragen sind fehlgeschlagen`,
            },
            why: {
              en: 'block lists, SPF and other checks by DNS have no effect',
              de: 'Sperrlisten, SPF und andere Prüfungen über DNS sind wirkungslos',
            },
            remedy: {
              en: 'check the name servers in /etc/resolv.conf',
              de: 'die Nameserver in /etc/resolv.conf prüfen',
            },
          },
        ]
  const ofSilent = silent.map(({ list, until }): Finding => {
    const time = `${until.slice(11, 19)} UTC`
    return {
      ...common,
      id: 'dns-list-silent',
      subject: 'DNS list',
      where: list,
      what: {
        en: `${list} does not answer; it is skipped until ${time}`,
        de: `${list} antwortet nicht; die Liste wird bis ${time} übersprungen`,
      },
      why: { en: 'nothing is blocked by it', de: 'sie sperrt derzeit nichts' },
      remedy: {
        en: 'see whether this server may use the list, or remove it from the configuration',
        de: 'prüfen, ob dieser Server die Liste nutzen darf, oder sie aus der Konfiguration entfernen',
      },
    }
  })
  const ofRefusing = refusing.map(
    ({ list, answer }): Finding => ({
      ...common,
      id: 'dns-list-refusing',
      subject: 'DNS list',
      where: list,
      what: {
        en: `${list} answers ${answer}, which is not a listing; the log says why`,
        de: `${list} antwortet ${answer}, was kein Eintrag ist; der Grund steht im Log`,
      },
      why: { en: 'nothing is blocked by it', de: 'sie sperrt derzeit nichts' },
      remedy: {
        en: 'see the log; many lists refuse queries that come through a public name server',
        de: 'im Log nachsehen; viele Listen weisen Anfragen über öffentliche Nameserver ab',
      },
    }),
  )
  return [...ofServers, ...ofSilent, ...ofRefusing]
}

/** Mail and counts are not touched by it. */
function historyFindings({ history }: DaemonStatus): Finding[] {
  if (!history || history.state === 'off') return []
  const common = { subject: 'history', where: 'history_days', service: '' } as const
  if (history.state === 'failed') {
    return [
      {
        ...common,
        id: 'history-failing',
        severity: 'warning',
        what: {
          en: `the history cannot be kept (${history.problem})`,
          de: `der Verlauf kann nicht gespeichert werden (${history.problem})`,
        },
        why: {
          en: 'top, user and why do not know what happens now; mail and counts are not affected',
          de: 'top, user und why kennen nicht, was gerade geschieht; Mail und Zählung betrifft es nicht',
        },
        remedy: LOG,
      },
    ]
  }
  const last = history.gaps.at(-1)
  if (!last) return []
  const time = `${new Date(last.to).toISOString().slice(0, 16).replace('T', ' ')} UTC`
  const number = history.gaps.length
  return [
    {
      ...common,
      id: 'history-gaps',
      severity: 'note',
      what: {
        en: `${history.days} days, with ${number === 1 ? 'a gap' : `${number} gaps`}; the last one at ${time}, ${last.missing} requests`,
        de: `${history.days} Tage, mit ${number === 1 ? 'einer Lücke' : `${number} Lücken`}; die letzte um ${time}, ${last.missing} Anfragen`,
      },
      why: { en: last.why, de: last.why },
      remedy: {
        en: 'nothing has to be done; what is missing cannot be found any more',
        de: 'nichts zu tun; was fehlt, ist nicht mehr zu finden',
      },
    },
  ]
}

function pluginFindings({ plugins }: DaemonStatus): Finding[] {
  return plugins
    .filter(({ failures }) => failures > 0)
    .map(({ plugin, failures, lastFailure }) => ({
      id: 'plugin-failing',
      subject: 'plugin',
      severity: 'warning',
      where: plugin,
      service: '',
      what: {
        en: `${plugin} failed ${failures} ${failures === 1 ? 'time' : 'times'}, last: ${lastFailure}`,
        de: `${plugin} ist ${failures}-mal fehlgeschlagen, zuletzt: ${lastFailure}`,
      },
      why: {
        en: 'it did not check those requests',
        de: 'es hat diese Anfragen nicht geprüft',
      },
      remedy: LOG,
    }))
}

/** Accounts named in one finding. */
const NAMED_NEAR = 5

/** Intended, as a rule; the administrator may want to ask the user before the limit is reached. */
function limitFindings({ nearLimits = [] }: DaemonStatus): Finding[] {
  const [first] = nearLimits
  if (!first) return []
  const named = nearLimits
    .slice(0, NAMED_NEAR)
    .map(({ account, limits, used, limit }) => {
      return `${account || '-'} ${used}/${limit} (${limits.replaceAll(',', ', ')})`
    })
    .join('; ')
  const more = nearLimits.length > NAMED_NEAR ? '; …' : ''
  return [
    {
      id: 'near-limit',
      subject: 'limits',
      severity: 'note',
      where: first.limits,
      service: '',
      what: {
        en: `came near a limit within the last 24 hours: ${named}${more}`,
        de: `in den letzten 24 Stunden nahe an einer Grenze: ${named}${more}`,
      },
      why: {
        en: 'mail beyond the limit is not accepted as usual',
        de: 'Mail jenseits der Grenze wird nicht wie sonst angenommen',
      },
      remedy: {
        en: 'what they send: mtpolicyctl watch --user NAME',
        de: 'was sie verschicken: mtpolicyctl watch --user NAME',
      },
    },
  ]
}

/** An account that was blocked may send again. */
function measureFindings({ measures }: DaemonStatus): Finding[] {
  const problem = measures?.problem
  if (problem === undefined) return []
  return [
    {
      id: 'measures-lost',
      subject: 'measures',
      severity: 'warning',
      where: 'measures.json',
      service: '',
      what: { en: problem, de: `Anordnungen für einzelne Konten gelten nicht (${problem})` },
      why: {
        en: 'an account that an administrator has blocked may be able to send again',
        de: 'ein Konto, das gesperrt wurde, kann womöglich wieder senden',
      },
      remedy: {
        en: 'look into that file, order again what is missing (mtpolicyctl block), and restart the daemon: systemctl restart univention-mtpolicyd',
        de: 'in die Datei sehen, was fehlt erneut anordnen (mtpolicyctl block) und den Dienst neu starten: systemctl restart univention-mtpolicyd',
      },
    },
  ]
}

function serviceFindings({ recipientOnlyServices }: DaemonStatus): Finding[] {
  return recipientOnlyServices.map(service => ({
    id: 'service-only-at-rcpt',
    subject: 'service',
    severity: 'note',
    where: service,
    service: '',
    what: {
      en: `${service} queries the daemon only at RCPT`,
      de: `${service} fragt den Dienst nur bei RCPT`,
    },
    why: {
      en: 'recipients of aborted messages are counted as well',
      de: 'Empfänger abgebrochener Nachrichten werden mitgezählt',
    },
    remedy: same('mtpolicyctl postfix register'),
  }))
}

function mailLogFindings({ mailLog }: DaemonStatus): Finding[] {
  if (mailLog?.state !== 'unreadable') return []
  const { setting, source, problem = '' } = mailLog
  const name = { en: source || 'Postfix’s log', de: source || 'das Log von Postfix' }
  return [
    {
      id: 'mail-log-unreadable',
      subject: 'mail log',
      // Where no milter refuses anything, nothing is missing; but a log that is named is meant to be read.
      severity: setting === 'auto' ? 'note' : 'warning',
      where: source || 'maillog',
      service: '',
      what: {
        en: `${name.en} is not readable (${problem}): mail that a milter refuses stays counted`,
        de: `${name.de} ist nicht lesbar (${problem}): Mail, die ein Milter ablehnt, bleibt gezählt`,
      },
      why: {
        en: 'users then reach their limits with mail that was never sent',
        de: 'Benutzer erreichen ihre Grenzen dann mit Mail, die nie verschickt wurde',
      },
      remedy: {
        en: `let the user univention-mtpolicyd read it (group adm or systemd-journal), or name the file: mtpolicyctl set mtpolicyd/maillog=/PATH; without milters: mtpolicyctl set mtpolicyd/maillog=none`,
        de: `den Benutzer univention-mtpolicyd sie lesen lassen (Gruppe adm oder systemd-journal), oder die Datei nennen: mtpolicyctl set mtpolicyd/maillog=/PFAD; ohne Milter: mtpolicyctl set mtpolicyd/maillog=none`,
      },
    },
  ]
}

function logFindings({ droppedLogLines }: DaemonStatus): Finding[] {
  if (droppedLogLines === 0) return []
  return [
    {
      id: 'log-lines-dropped',
      subject: 'log',
      severity: 'note',
      where: 'journald',
      service: '',
      what: {
        en: `${droppedLogLines} log lines were dropped`,
        de: `${droppedLogLines} Logzeilen wurden verworfen`,
      },
      why: {
        en: 'the program that reads the log could not keep up',
        de: 'das Programm, das das Log liest, kam nicht nach',
      },
      remedy: {
        en: 'log less: mtpolicyctl set mtpolicyd/debug=1',
        de: 'weniger protokollieren: mtpolicyctl set mtpolicyd/debug=1',
      },
    },
  ]
}

/** Intended, as a rule; a person who wonders why nothing is refused finds it here. */
function modeFindings({ mode }: DaemonStatus): Finding[] {
  if (mode !== 'observe') return []
  return [
    {
      id: 'observing',
      subject: 'policy',
      severity: 'note',
      where: 'mtpolicyd/mode',
      service: '',
      what: { en: 'the daemon only observes', de: 'der Dienst beobachtet nur' },
      why: { en: 'no mail is refused', de: 'es wird keine Mail abgelehnt' },
      remedy: {
        en: 'once the limits are right: mtpolicyctl set mtpolicyd/mode=enforce',
        de: 'sobald die Grenzen stimmen: mtpolicyctl set mtpolicyd/mode=enforce',
      },
    },
  ]
}
