/**
 * German texts for the mistakes that keep smtpd from starting; those not listed here stay English.
 */

import type { Words } from '../../policy/finding.ts'

const GERMAN: ReadonlyArray<readonly [english: RegExp, german: string]> = [
  [/^smtpd does not understand the word "(.*)"$/s, 'smtpd versteht das Wort „$1“ nicht'],
  [/ is neither yes nor no$/, ' ist weder yes noch no'],
  [/a brace is not closed$/, 'eine Klammer ist nicht geschlossen'],
  [/there is nothing inside the braces$/, 'in den Klammern steht nichts'],
  [
    /"([^"]*)" is not name=value; with spaces around the = it needs its own braces: (.*)$/s,
    '„$1“ ist nicht name=wert; mit Leerzeichen um das = sind eigene Klammern nötig: $2',
  ],
  [
    /"([^"]*)" is not an option of a policy service$/,
    '„$1“ ist keine Option eines Policy-Dienstes',
  ],
  [/ is not yes or no$/, ' ist weder yes noch no'],
  [/ is nothing$/, ' ist leer'],
  [/ cannot be read: /, ' ist nicht lesbar: '],
  [
    / is a restriction class, but has no value$/,
    ' ist eine Restriktionsklasse, hat aber keinen Wert',
  ],
  [/ is not a time$/, ' ist keine Zeit'],
  [/ is not a number$/, ' ist keine Zahl'],
  [
    /"([^"]*)" is not inet:HOST:PORT or unix:PATH$/s,
    '„$1“ ist weder inet:HOST:PORT noch unix:PFAD',
  ],
  [/"([^"]*)" is not inet or unix$/, '„$1“ ist weder inet noch unix'],
  [/"([^"]*)" has no port$/, '„$1“ fehlt der Port'],
  [/"([^"]*)" is not a port$/, '„$1“ ist kein Port'],
  [/"([^"]*)" is not a host$/, '„$1“ ist kein Rechner'],
  [
    /^neither the relay nor the recipient list refuses to relay for everybody$/,
    'weder die Relay- noch die Empfängerliste verhindert ein offenes Relay',
  ],
  [
    /Postfix before 3\.0 does not understand braces here$/,
    'Postfix vor 3.0 unterstützt hier keine Klammern',
  ],
]

export function inBothLanguages(mistake: string): Words {
  const found = GERMAN.find(([english]) => english.test(mistake))
  return { en: mistake, de: found ? mistake.replace(...found) : mistake }
}
