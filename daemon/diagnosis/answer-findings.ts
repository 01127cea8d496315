/** Whether the daemon answers where Postfix queries it. */

import { describeOwner } from '../net/listeners.ts'
import { type Finding, same } from '../policy/finding.ts'
import type { OwnedProbe } from './probe.ts'

/** `down`: why the daemon gives no status; undefined if it runs. */
export function answerFindings(probes: readonly OwnedProbe[], down: string | undefined): Finding[] {
  const stranger = probes.find(probe => isStranger(probe, down !== undefined))
  if (stranger) return [portTaken(stranger)]
  const dead = probes.find(({ outcome }) => outcome !== 'answers')
  if (down === undefined && !dead) return []
  const where = dead?.where ?? probes[0]?.where ?? 'mtpolicyd'
  const isMute = dead?.outcome === 'mute'
  const verb = down === undefined ? 'restart' : 'start'
  return [
    {
      id: 'daemon-down',
      subject: 'daemon',
      severity: 'error',
      where,
      service: '',
      what: down === undefined ? doesNotAnswer(where) : notRunning(down),
      why: isMute
        ? {
            en: 'Postfix waits for it with each message, then accepts the message unchecked; without default_action it defers the message',
            de: 'Postfix wartet bei jeder Nachricht darauf und nimmt sie dann ungeprüft an; ohne default_action stellt Postfix sie zurück',
          }
        : {
            en: 'mail is accepted unchecked; where an item has no default_action it is deferred',
            de: 'Mail wird ungeprüft angenommen; wo default_action fehlt, wird sie zurückgestellt',
          },
      remedy: {
        en: `systemctl ${verb} univention-mtpolicyd; for the reason: journalctl -u univention-mtpolicyd`,
        de: `systemctl ${verb} univention-mtpolicyd; den Grund nennt journalctl -u univention-mtpolicyd`,
      },
    },
  ]
}

function notRunning(down: string): Finding['what'] {
  const reason = down === 'not running' ? '' : ` (${down})`
  return { en: `the daemon is not running${reason}`, de: `der Dienst läuft nicht${reason}` }
}

function doesNotAnswer(where: string): Finding['what'] {
  return {
    en: `the daemon is running but does not answer on ${where}`,
    de: `der Dienst läuft, antwortet aber nicht auf ${where}`,
  }
}

/** Accepts connections while our daemon is down, and is not systemd, which holds its socket. */
function isStranger({ outcome, owner }: OwnedProbe, isDown: boolean): boolean {
  if (outcome === 'stranger') return true
  if (!isDown || outcome === 'silent') return false
  return outcome === 'answers' || owner?.pid !== 1
}

function portTaken({ where, owner, freePort }: OwnedProbe): Finding {
  const name = describeOwner(owner)
  return {
    id: 'port-taken',
    subject: 'daemon',
    severity: 'warning',
    where,
    service: '',
    what: {
      en: `${name} listens on ${where}, where Postfix should reach the daemon`,
      de: `${owner ? name : 'ein anderes Programm'} lauscht auf ${where}, wo Postfix den Dienst erreichen soll`,
    },
    why: {
      en: 'the daemon cannot listen there, so mail is accepted unchecked or deferred',
      de: 'der Dienst kann dort nicht lauschen; Mail wird ungeprüft angenommen oder zurückgestellt',
    },
    remedy: same(`mtpolicyctl set mtpolicyd/port=${freePort}`),
  }
}
