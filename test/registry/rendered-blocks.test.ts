/** Which variable a block of the shipped template comes from, compared with the template itself. */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import {
  variableOfBlock,
  variableOfUser,
  variablesFor,
} from '../../daemon/registry/rendered-blocks.ts'

const TEMPLATE = join(
  import.meta.dirname,
  '../../templates/etc/univention-mtpolicyd/mtpolicyd.conf.hbs',
)

t.test('each block of the template has its variable, and names it', async t => {
  const blocks = readFileSync(TEMPLATE, 'utf8').matchAll(
    /^ {2}<Plugin "?([\w-]+)"?>\n(.*?)^ {2}<\/Plugin>/gms,
  )
  let seen = 0
  for (const [, name = '', text = ''] of blocks) {
    seen++
    const variable = variableOfBlock(name)
    t.ok(variable !== undefined && text.includes(`"${variable}"`), `${name}: ${variable}`)
    const ofUser = variableOfUser(variable ?? '', 'ALICE')
    if (ofUser !== undefined) t.ok(text.includes(`"${ofUser.replace('alice', '.*')}"`), ofUser)
  }
  t.equal(seen, 9)
  t.equal(variableOfBlock('mine'), undefined)
})

t.test('the variable of one account comes before that of its domain and that of all', async t => {
  t.strictSame(variablesFor('mtpolicyd/threshold/hour', 'alice@example.org', ''), [
    'mtpolicyd/user/alice@example.org/threshold/hour',
    'mtpolicyd/domain/example.org/user/threshold/hour',
    'mtpolicyd/threshold/hour',
  ])
  t.strictSame(variablesFor('mtpolicyd/threshold', 'alice', 'Example.ORG'), [
    'mtpolicyd/user/alice@example.org/threshold',
    'mtpolicyd/user/alice/threshold',
    'mtpolicyd/domain/example.org/user/threshold',
    'mtpolicyd/threshold',
  ])
  t.strictSame(variablesFor('mtpolicyd/threshold', 'alice@example.org', 'example.org'), [
    'mtpolicyd/user/alice@example.org/threshold',
    'mtpolicyd/user/alice/threshold',
    'mtpolicyd/domain/example.org/user/threshold',
    'mtpolicyd/threshold',
  ])
  t.strictSame(variablesFor('mtpolicyd/allowedcountries', 'alice', ''), [
    'mtpolicyd/user/alice/allowedcountries',
    'mtpolicyd/allowedcountries',
  ])
  t.strictSame(variablesFor('mtpolicyd/domain/.*/threshold', 'alice@example.org', ''), [
    'mtpolicyd/domain/example.org/threshold',
  ])
  t.strictSame(variablesFor('mtpolicyd/server/threshold', 'alice@example.org', ''), [
    'mtpolicyd/server/threshold',
  ])
  t.strictSame(variablesFor('mtpolicyd/domain/.*/threshold', 'alice', ''), [])
  t.equal(variableOfUser('mtpolicyd/threshold', 'a<b'), undefined, 'no block can have that name')
})
