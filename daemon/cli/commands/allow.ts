/** allow: mail of an account is accepted from further countries. */

import { checkValue } from '../../registry/value-types.ts'
import { accountVariable, setVariable } from '../account-variable.ts'
import { defineCommand, type ExitStatus } from '../command.ts'
import type { Host } from '../host.ts'
import {
  order,
  readAccount,
  until,
  untilOf,
  WrongWords,
  why,
  withWords,
} from '../measure-options.ts'
import { lineOf } from '../measure-text.ts'
import { json } from '../options.ts'

/** A value that does not fit its type, as for `set`. */
const BAD_VALUE = 2

export const allow = defineCommand({
  name: 'allow',
  group: 'act',
  operands: 'NAME',
  offers: 'accounts',
  summary: 'accept mail of an account from further countries, for a journey',
  more: `
    AllowedCountries accepts mail of the account from these countries in addition to those that
    it is allowed. With --until this is a measure that ends by itself; until then a later one
    replaces it, and mtpolicyctl release NAME ends it. Without --until the host variable
    mtpolicyd/user/NAME/allowedcountries is set, for good: to these countries and those that
    the account was allowed before.
  `,
  json: `
    With --until {measure, replaced} as mtpolicyctl block has it; otherwise {variable, value}.
  `,
  options: {
    countries: {
      type: 'string',
      argument: 'LIST',
      doc: 'Codes of ISO 3166, separated by commas: ES,PT. Required.',
    },
    until,
    why,
    json,
  },
  run: (values, host) =>
    withWords(host, 'allow', () => {
      const account = readAccount(values.operands[0])
      if (values.countries === undefined)
        throw new WrongWords('expected --countries, such as ES,PT')
      const ends = untilOf(values.until, host)
      const checked = checkValue({ type: 'countries' }, values.countries)
      if (checked.kind !== 'good') {
        host.err(
          lineOf(`--countries: ${checked.kind === 'bad' ? checked.expected : checked.reason}`),
        )
        return BAD_VALUE
      }
      const countries = checked.value
      if (ends === undefined) {
        if (values.why !== undefined)
          throw new WrongWords('--why is kept with a measure: add --until')
        return addForGood(host, values.json, account, countries)
      }
      if (countries === '*') {
        host.err(lineOf('--countries: expected a list of countries with --until'))
        return BAD_VALUE
      }
      return order(host, values.json, {
        ...{ kind: 'allow', account, countries, until: ends, why: values.why },
      })
    }),
})

/** The variable replaces the list of all accounts, so it gets what that has. */
function addForGood(
  host: Host,
  isJson: boolean,
  account: string,
  countries: string,
): ExitStatus | Promise<ExitStatus> {
  const variable = accountVariable(host, account, 'allowedcountries')
  const values = host.registry.open().values()
  const before = (values.get(variable) ?? values.get('mtpolicyd/allowedcountries') ?? '').split(',')
  const all = before.includes('*') ? ['*'] : [...before, ...countries.split(',')]
  const codes = all.map(code => code.trim()).filter(code => code !== '')
  const value = codes.includes('*') ? '*' : [...new Set(codes)].join(',')
  return setVariable(host, isJson, variable, value)
}
