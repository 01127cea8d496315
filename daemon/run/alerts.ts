/** What alerts have to know of a configuration. */

import type { Rules } from '../alerts/account-conditions.ts'
import type { AlertSettings } from '../alerts/delivery.ts'
import type { Generation } from './generation.ts'

export function alertSettingsOf({ globals, assembly }: Generation): AlertSettings {
  return {
    mail: globals.alert_mail,
    webhook: globals.alert_webhook,
    webhookFormat: globals.alert_webhook_format,
    command: globals.alert_command,
    user: globals.alert_user,
    sender: globals.alert_sender,
    language: globals.alert_language,
    defaultDomain: assembly.loaded.defaultDomain,
  }
}

/** Which plugins are limits, and which ask for the country: by the name that stands in a verdict. */
export function alertRulesOf({ assembly }: Generation): Rules {
  const { limits, links } = assembly.loaded
  const countries = links.filter(({ link }) => link.module === 'AllowedCountries')
  return {
    limits: new Map(
      limits.map(({ name, unit, window, per }) => [name, { name, unit, window, per }]),
    ),
    countries: new Set(countries.map(({ link }) => link.name)),
  }
}
