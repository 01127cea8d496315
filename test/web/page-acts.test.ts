/** What a person does in the console, as that person does it: by mouse, and once by keyboard alone. */

import t from 'tap'
import { closeBrowser, noChromium, PREFIX, visit } from '../support/console-browser.ts'
import { HACKED, MARKUP_ACCOUNT } from '../support/console-data.ts'
import { LOGIN_LINK, READ_TOKEN } from '../support/console-stub.ts'

const there = { skip: noChromium }
const ACCOUNT = `#/account/${encodeURIComponent(HACKED)}`
const OWN = `account/${encodeURIComponent(HACKED)}`

t.test('a login link works once, and does not stay in the address', there, async t => {
  const { go, see, page, stub, click } = await visit(t)
  await go(`#login=${LOGIN_LINK}`)
  await see('Mail over time')
  t.equal(new URL(page.url()).pathname, `${PREFIX}/`)
  t.notMatch(page.url(), LOGIN_LINK)
  t.strictSame(stub.posts, [], 'and asks for nothing else')
  await click('button', 'Log out')
  await see('mtpolicyctl web login')
  await go(`#login=${LOGIN_LINK}`)
  await see('A login link works once.')
})

t.test('a token is typed; a wrong one is refused where it was typed', there, async t => {
  const { go, see, fill, click } = await visit(t)
  await go('#/variables')
  await click('button', 'Log in')
  await see('Enter a token.')
  await fill('Token', 'wrong')
  await click('button', 'Log in')
  await see('not valid')
  await fill('Token', READ_TOKEN)
  await click('button', 'Log in')
  await see('mtpolicyd/allowedcountries')
  await see('may only look')
})

t.test('an account is blocked for three days, with a reason, and released', there, async t => {
  const { go, see, fill, click, stub } = await visit(t, { role: 'change' })
  await go(ACCOUNT)
  await click('button', 'Block …')
  await click('radio', 'in 3 days')
  await fill('Reason', 'spam, password stolen')
  await click('button', 'Block')
  await see('Blocked, until')
  await see('spam, password stolen')
  t.strictSame(stub.posts.at(-1), {
    path: `${OWN}/block`,
    body: { reason: 'spam, password stolen', until: '+3d' },
  })
  await click('button', 'Release …')
  await click('button', 'Release')
  await see('is released: 1 order ended')
  await click('button', 'Reset counts …')
  await click('button', 'Reset')
  await see('1 count begins again')
})

t.test('a mistake in an order is told at its field, and nothing is ordered', there, async t => {
  const { go, see, fill, click, stub, page } = await visit(t, { role: 'change' })
  await go(ACCOUNT)
  await click('button', 'Allow countries …')
  await fill('Countries', 'Spain')
  await click('button', 'Allow')
  await see('expected ISO 3166 codes')
  t.ok(await page.$('input[aria-invalid=true]'), 'the field is marked')
  t.notOk(stub.posts.some(({ path }) => path.endsWith('/allow')))
  await fill('Countries', 'ES')
  await click('button', 'Allow')
  await see('Allowed from ES')
  await click('button', 'Set a limit …')
  await fill('Limit', '5000')
  await click('button', 'Set the limit')
  await see('Limit 5000 per day')
})

t.test('who may only look is offered no act', there, async t => {
  const { go, see, offered, page } = await visit(t, { role: 'read' })
  await go(ACCOUNT)
  await see('Last messages')
  t.notMatch((await offered()).join(), /Block|Release|Reset|Set a limit|Allow/)
  await go('#/variables')
  await (await page.waitForSelector('.variable summary'))?.click()
  await see('may look at variables, not change them')
  t.notMatch((await offered()).join(), /Preview|Unset/)
})

t.test('by keyboard alone: log in, find the account, block it', there, async t => {
  const { go, see, page, stub } = await visit(t)
  const { keyboard } = page
  /** Goes from control to control, as far as the one with this name. */
  const tabTo = async (name: string) => {
    const script = `(() => { const one = document.activeElement
      return one?.ariaLabel || one?.labels?.[0]?.innerText || one?.innerText || '' })()`
    for (let steps = 0; steps < 60; steps++) {
      await keyboard.press('Tab')
      if (String(await page.evaluate(script)).trim() === name) return
    }
    throw new Error(`the Tab key does not lead to "${name}"`)
  }
  await go('')
  await see('mtpolicyctl web login')
  await tabTo('Token')
  await keyboard.type(LOGIN_LINK)
  await keyboard.press('Enter')
  await see('Mail over time')
  await tabTo('Accounts')
  await keyboard.press('Enter')
  await see('Name of the account')
  await tabTo('Name of the account')
  await keyboard.type('eve')
  await page.waitForSelector('[role=option]')
  await keyboard.press('ArrowDown')
  await keyboard.press('Enter')
  await see('Last messages')
  await tabTo('Block …')
  await keyboard.press('Enter')
  await see('All further mail of this account is refused')
  await keyboard.press('Escape')
  await page.waitForSelector('dialog', { hidden: true })
  const leadsBack = page.waitForFunction("document.activeElement.innerText === 'Block …'")
  t.ok(await leadsBack, 'Escape leads back')
  await keyboard.press('Enter')
  await tabTo('Reason')
  await keyboard.type('by keyboard')
  await keyboard.press('Enter')
  await see('Blocked, until it is released')
  t.match(stub.posts.at(-1), { path: `${OWN}/block`, body: { reason: 'by keyboard' } })
})

t.test('an account whose name is markup can be blocked like any other', there, async t => {
  const { go, see, click, stub } = await visit(t, { role: 'change' })
  await go(`#/account/${encodeURIComponent(MARKUP_ACCOUNT)}`)
  await click('button', 'Block …')
  await click('button', 'Block')
  await see(`${MARKUP_ACCOUNT}: Blocked`)
  t.equal(decodeURIComponent(stub.posts.at(-1)?.path ?? ''), `account/${MARKUP_ACCOUNT}/block`)
})

t.setTimeout(600_000)
t.teardown(closeBrowser)
