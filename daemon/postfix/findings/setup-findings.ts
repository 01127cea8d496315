/**
 * What is wrong with an instance apart from its items: logins, certificates, networks, duplicate
 * lines.
 */

import type { Finding, Severity, Words } from '../../policy/finding.ts'
import type { PostfixInstance } from '../smtpd/instance.ts'
import { lineAt } from '../smtpd/logical-lines.ts'
import { allowsLogins, asksForCertificates, offersTls } from '../smtpd/logins.ts'
import { readDefinitions } from '../smtpd/main-cf.ts'
import { brokenWord, doubleServices } from '../smtpd/master-cf.ts'
import { wideNetworks } from '../smtpd/mynetworks.ts'
import { type PolicyItem, policyItems } from '../smtpd/policy-item.ts'
import type { Protection } from '../smtpd/protection.ts'
import { END_OF_DATA, tokenise } from '../smtpd/restriction-list.ts'
import { restrictionsOf } from '../smtpd/restrictions.ts'
import { badLine } from './broken-findings.ts'
import { REGISTER, settingLine, whereOf, write } from './remedies.ts'

export function setupFindings(
  instance: PostfixInstance,
  protections: readonly Protection[],
  isOurs: (item: PolicyItem) => boolean,
): Finding[] {
  return [
    ...lineWithoutSign(instance),
    ...brokenMaster(instance),
    ...doubleParameters(instance, protections, isOurs),
    ...doubleMasterEntries(instance),
    ...doubleOptions(instance),
    ...protections.flatMap(protection => [
      ...softBounce(protection),
      ...certificateClients(protection),
      ...neverOffered(protection),
      ...askedTwice(protection),
    ]),
    ...trustedNetworks(instance),
    ...unusedClasses(instance, protections, isOurs),
  ]
}

function make(
  id: string,
  severity: Severity,
  where: string,
  service: string,
  texts: Pick<Finding, 'what' | 'why' | 'remedy'>,
): Finding {
  return { id, subject: 'Postfix', severity, where, service, ...texts }
}

/** Unbalanced braces in master.cf keep all of Postfix from starting. */
function brokenMaster({ masterCf, mistake }: PostfixInstance): Finding[] {
  const broken = brokenWord(masterCf.text)
  if (!broken || mistake?.startsWith(`${masterCf.file}:`) !== true) return []
  return [
    make('broken-item', 'error', `${masterCf.file}:${broken.line}`, '', {
      what: {
        en: `the braces of "${broken.text}" are not balanced: no Postfix process starts`,
        de: `die geschweiften Klammern in „${broken.text}“ sind nicht ausgeglichen: kein Postfix-Prozess startet`,
      },
      why: { en: 'no mail is delivered', de: 'es wird keine Mail zugestellt' },
      remedy: {
        en: 'close the braces, with nothing after them; then: postfix check',
        de: 'die Klammern schließen, nichts darf dahinter stehen; dann: postfix check',
      },
    }),
  ]
}

function lineWithoutSign({ mainCf, mistake }: PostfixInstance): Finding[] {
  if (mistake?.startsWith(`${mainCf.file}:`) !== true) return []
  const found = badLine(mainCf.file, mainCf.text, mistake)
  return found ? [{ ...found, service: '' }] : []
}

const MATTERS = /^(?:smtpd_|mua_|mynetworks|inet_|relay_clientcerts|soft_bounce|submission_)/

/** Parameters of main.cf that matter here and are set more than once, to different values. */
function doubleParameters(
  instance: PostfixInstance,
  protections: readonly Protection[],
  isOurs: (item: PolicyItem) => boolean,
): Finding[] {
  const { mainCf, version } = instance
  const all = readDefinitions(mainCf.text).filter(({ name }) => MATTERS.test(name))
  const names = [...new Set(all.map(({ name }) => name))]
  const asks = (value: string) => policyItems(value, version).some(item => isOurs(item))
  return names.flatMap(name => {
    const same = all.filter(one => one.name === name)
    const last = same.at(-1)
    if (!last || same.every(({ value }) => value === last.value)) return []
    const lines = same.map(({ start }) => lineAt(mainCf.text, start))
    const isLost = !asks(last.value) && same.some(({ value }) => asks(value))
    const services = protections.filter(
      ({ answer, service }) =>
        isLost &&
        (answer === 'not asked' || answer === 'perhaps') &&
        service.parameters.setting(name).origin === 'main.cf',
    )
    return [
      make(
        'duplicate-parameter',
        'warning',
        `${mainCf.file}:${lines.at(-1)}`,
        services.map(({ service }) => service.name).join(', '),
        {
          what: {
            en: `${name} is set in lines ${lines.join(' and ')}; only the last one counts`,
            de: `${name} steht in den Zeilen ${lines.join(' und ')}; nur die letzte gilt`,
          },
          why: isLost
            ? {
                en: "the daemon's item is in a line that has no effect: mail of users passes unchecked",
                de: 'der Eintrag für den Dienst steht in einer wirkungslosen Zeile: Mail von Benutzern geht ungeprüft durch',
              }
            : {
                en: 'the other lines have no effect',
                de: 'die anderen Zeilen sind wirkungslos',
              },
          remedy: oneLine(instance, last, lines, isLost ? same.map(({ value }) => value) : []),
        },
      ),
    ]
  })
}

/** The other lines are deleted; their items move into the one that counts. */
function oneLine(
  { mainCf, version }: PostfixInstance,
  { name, value }: { readonly name: string; readonly value: string },
  lines: readonly number[],
  values: readonly string[],
): Words {
  const others = lines.slice(0, -1).join(', ')
  const items = values.flatMap(one =>
    restrictionsOf(one).filter(text => policyItems(text, version).length > 0),
  )
  if (items.length === 0) {
    return {
      en: `delete line ${others}, or move what is needed from it into line ${lines.at(-1)}`,
      de: `Zeile ${others} löschen oder das Nötige daraus in Zeile ${lines.at(-1)} übernehmen`,
    }
  }
  const list = [...new Set([...items, ...restrictionsOf(value)])].join(', ')
  return {
    en: `delete line ${others}; replace ${mainCf.file}:${lines.at(-1)} with:\n${name} = ${list}`,
    de: `Zeile ${others} löschen; ${mainCf.file}:${lines.at(-1)} ersetzen durch:\n${name} = ${list}`,
  }
}

function doubleMasterEntries({ masterCf, services }: PostfixInstance): Finding[] {
  return doubleServices(masterCf.text).flatMap(name => {
    const line = services.find(service => service.name === name)?.master.line
    if (line === undefined) return []
    return [
      make('duplicate-parameter', 'warning', `${masterCf.file}:${line}`, name, {
        what: {
          en: `${name} is defined in master.cf more than once; only the entry in line ${line} counts`,
          de: `${name} ist in master.cf mehrfach definiert; nur der Eintrag in Zeile ${line} gilt`,
        },
        why: {
          en: 'the options of the other entries have no effect',
          de: 'die Optionen der anderen Einträge sind wirkungslos',
        },
        remedy: {
          en: `move the options that are needed to line ${line} and delete the other entries`,
          de: `die nötigen Optionen in den Eintrag in Zeile ${line} übernehmen und die anderen Einträge löschen`,
        },
      }),
    ]
  })
}

/** Options of one service that contradict each other: getopt(3) takes the last. */
function doubleOptions({ masterCf, services }: PostfixInstance): Finding[] {
  return services.flatMap(({ name: service, master }) => {
    const options = master.options.filter(({ name }) => MATTERS.test(name))
    const names = [...new Set(options.map(({ name }) => name))]
    return names.flatMap(name => {
      const same = options.filter(one => one.name === name)
      const last = same.at(-1)
      if (!last || same.every(({ value }) => value === last.value)) return []
      return [
        make('duplicate-parameter', 'warning', `${masterCf.file}:${last.line}`, service, {
          what: {
            en: `-o ${name} is given ${same.length === 2 ? 'twice' : `${same.length} times`}; only the last one counts`,
            de: `-o ${name} ist ${same.length === 2 ? 'zweimal' : `${same.length}-mal`} angegeben; nur die letzte Angabe gilt`,
          },
          why: {
            en: 'the other ones have no effect',
            de: 'die anderen sind wirkungslos',
          },
          remedy: {
            en: `keep only one -o ${name}, with everything that is needed in it`,
            de: `nur ein -o ${name} behalten, mit allem Nötigen darin`,
          },
        }),
      ]
    })
  })
}

function softBounce({ instance, service, answer }: Protection): Finding[] {
  if (answer === 'no logins' || !service.parameters.isYes('soft_bounce')) return []
  const name = 'soft_bounce'
  const setting = service.parameters.setting(name)
  return [
    make('soft-bounce', 'warning', whereOf(setting), service.name, {
      what: {
        en: 'soft_bounce=yes turns each rejection into "try again later"',
        de: 'soft_bounce=yes macht aus jeder Ablehnung ein „später noch einmal versuchen“',
      },
      why: {
        en: 'rejected mail is retried again and again instead of being returned to its sender',
        de: 'abgelehnte Mail wird immer wieder eingeliefert, statt an den Absender zurückzugehen',
      },
      remedy: write(instance, { name, value: 'no', setting }),
    }),
  ]
}

const LOGIN = 'permit_sasl_authenticated'

/** Clients that may relay because of their certificate: their mail has no user name. */
function certificateClients({ service }: Protection): Finding[] {
  const { name: serviceName, parameters } = service
  if (!asksForCertificates(parameters)) return []
  const isSetUp = parameters.value('relay_clientcerts') !== ''
  const permits = (text: string) =>
    text.toLowerCase() === 'permit_tls_all_clientcerts' ||
    (text.toLowerCase() === 'permit_tls_clientcerts' && isSetUp)
  const lists = ['smtpd_relay_restrictions', 'smtpd_recipient_restrictions'].filter(one =>
    restrictionsOf(parameters.value(one)).some(permits),
  )
  const [first] = lists
  if (first === undefined) return []
  const settings = lists.map(list => ({ list, setting: parameters.setting(list) }))
  const lines = settings.map(({ list, setting }) => {
    const all = restrictionsOf(setting.value)
    const rest = all.map(text => (permits(text) ? LOGIN : text))
    const once = rest.filter((text, at) => text !== LOGIN || rest.indexOf(LOGIN) === at)
    return settingLine(list, once.join(', '), setting)
  })
  const where = settings.map(({ setting }) => whereOf(setting)).join(', ')
  return [
    make('certificate-clients', 'warning', whereOf(parameters.setting(first)), serviceName, {
      what: {
        en: 'clients with a certificate may send without logging in',
        de: 'Clients mit Zertifikat dürfen ohne Anmeldung senden',
      },
      why: {
        en: 'their mail has no user name, so it is neither counted nor limited',
        de: 'ihre Mail hat keinen Benutzernamen und wird deshalb weder gezählt noch begrenzt',
      },
      remedy: {
        en: `if they can log in instead, replace ${where} with:\n${lines.join('\n')}`,
        de: `wenn sie sich stattdessen anmelden können, ${where} ersetzen durch:\n${lines.join('\n')}`,
      },
    }),
  ]
}

/** Logins are enabled but can never happen. */
function neverOffered({ instance, service }: Protection): Finding[] {
  const { name: serviceName, parameters } = service
  if (!parameters.isYes('smtpd_sasl_auth_enable') || allowsLogins(parameters)) return []
  if (offersTls(parameters)) return []
  const name = 'smtpd_tls_security_level'
  const setting = parameters.setting(name)
  const line = write(instance, { name, value: 'may', setting })
  return [
    make(
      'no-authentication',
      'warning',
      whereOf(parameters.setting('smtpd_tls_auth_only')),
      serviceName,
      {
        what: {
          en: 'smtpd_tls_auth_only=yes, but TLS is off: nobody can log in here',
          de: 'smtpd_tls_auth_only=yes, aber TLS ist aus: hier kann sich niemand anmelden',
        },
        why: {
          en: 'AUTH is then offered over TLS only; smtpd also needs a certificate for that',
          de: 'AUTH wird dann nur über TLS angeboten; dafür braucht smtpd auch ein Zertifikat',
        },
        remedy: line,
      },
    ),
  ]
}

function askedTwice({ service, queries, answer }: Protection): Finding[] {
  const asked = queries.filter(({ reached }) => reached !== 'no')
  const [first, second] = asked
  if (answer === 'return path' || answer === 'no logins' || !first || !second) return []
  const lists = [...new Set(asked.map(({ list }) => list))]
  const spare = lists.length === 1 ? undefined : lists.find(list => list !== END_OF_DATA)
  return [
    make('asked-twice', 'note', whereOf(second.setting), service.name, {
      what: {
        en: `the daemon is queried ${asked.length === 2 ? 'twice' : `${asked.length} times`} about one message (${lists.join(', ')})`,
        de: `der Dienst wird zu einer Nachricht ${asked.length === 2 ? 'zweimal' : `${asked.length}-mal`} gefragt (${lists.join(', ')})`,
      },
      why: {
        en: 'it counts each message once; further requests only cost time',
        de: 'er zählt jede Nachricht nur einmal; weitere Anfragen kosten nur Zeit',
      },
      remedy: {
        en: `no action needed; ${spare === undefined ? 'one item is enough' : `the item in ${spare} can be removed`}`,
        de: `nichts zu tun; ${spare === undefined ? 'ein Eintrag genügt' : `der Eintrag in ${spare} kann entfallen`}`,
      },
    }),
  ]
}

function trustedNetworks(instance: PostfixInstance): Finding[] {
  const wide = wideNetworks(instance.parameters)
  const inList = wide.filter(({ place }) => place === undefined)
  const inFiles = wide.flatMap(({ place, network }) => (place ? [{ place, network }] : []))
  const { parameters } = instance
  const name = 'mynetworks'
  const own = parameters.setting(name)
  const place = own.origin === 'default' ? parameters.setting('mynetworks_style') : own
  const kept = tokenise(parameters.value(name))
    .map(({ text }) => text)
    .filter(text => !inList.some(({ network }) => network === text))
  const value =
    own.origin === 'default' || kept.length === 0 ? '127.0.0.0/8 [::1]/128' : kept.join(' ')
  const texts = (networks: readonly string[]) => ({
    what: {
      en: `mynetworks trusts ${networks.join(', ')}`,
      de: `mynetworks vertraut ${networks.join(', ')}`,
    },
    why: {
      en: 'clients connecting from there send without logging in and without a limit',
      de: 'wer sich von dort verbindet, sendet ohne Anmeldung und ohne Limit',
    },
  })
  const where = whereOf(place) || instance.mainCf.file
  const networks = inList.map(({ network }) => network)
  return [
    ...(inList.length === 0
      ? []
      : [
          make('trusted-networks-wide', 'warning', where, '', {
            ...texts(networks),
            remedy: write(instance, { name, value, setting: own }),
          }),
        ]),
    ...inFiles.map(({ place: file, network }) =>
      make('trusted-networks-wide', 'warning', `${file.file}:${file.line}`, '', {
        ...texts([network]),
        remedy: {
          en: `delete that line or use a smaller network, then: postfix reload`,
          de: `die Zeile löschen oder ein kleineres Netz angeben, dann: postfix reload`,
        },
      }),
    ),
  ]
}

/**
 * Classes with an item of ours that no list refers to. A table may still return one: not detected
 * here.
 */
function unusedClasses(
  instance: PostfixInstance,
  protections: readonly Protection[],
  isOurs: (item: PolicyItem) => boolean,
): Finding[] {
  const { parameters, services, version } = instance
  const classes = tokenise(parameters.value('smtpd_restriction_classes')).map(({ text }) => text)
  const lists = ['client', 'helo', 'sender', 'relay', 'recipient', 'data', 'end_of_data', 'etrn']
  const names = [...lists.map(list => `smtpd_${list}_restrictions`), ...classes]
  const used = new Set(
    [parameters, ...services.map(service => service.parameters)].flatMap(scope =>
      names.flatMap(name => tokenise(scope.value(name)).map(({ text }) => text)),
    ),
  )
  // A table may answer with the name of a class.
  for (const { queries } of protections) {
    for (const { byClass, reached } of queries) if (byClass && reached !== 'no') used.add(byClass)
  }
  const asksUs = (name: string) =>
    policyItems(parameters.value(name), version).some(item => isOurs(item))
  const unasked = protections.filter(({ answer }) => answer === 'not asked')
  const concerned = unasked.map(({ service }) => service.name).join(', ')
  const setting = parameters.setting('smtpd_restriction_classes')
  return classes
    .filter(name => !used.has(name) && asksUs(name))
    .map(name => {
      const value = classes.filter(one => one !== name).join(', ')
      const line = { name: 'smtpd_restriction_classes', value, setting }
      return make(
        'unused-restriction-class',
        'warning',
        whereOf(parameters.setting(name)),
        concerned,
        {
          what: {
            en: `no list uses the restriction class ${name}, which queries the daemon`,
            de: `keine Liste verwendet die Restriktionsklasse ${name}, die den Dienst fragt`,
          },
          why:
            concerned === ''
              ? { en: 'it has no effect', de: 'sie bewirkt nichts' }
              : {
                  en: 'so mail of users passes unchecked',
                  de: 'deshalb geht Mail von Benutzern ungeprüft durch',
                },
          remedy: concerned === '' ? write(instance, line) : withRegister(write(instance, line)),
        },
      )
    })
}

function withRegister({ en, de }: Words): Words {
  return { en: `${REGISTER}; then ${en}`, de: `${REGISTER}; dann ${de}` }
}
