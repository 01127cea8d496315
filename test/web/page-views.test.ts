/** What the console shows: names as texts, ten thousand refusals, trials, variables, two languages, errors. */

import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { closeBrowser, noChromium, visit } from '../support/console-browser.ts'
import { HACKED, MARKUP, MARKUP_ACCOUNT } from '../support/console-data.ts'

const there = { skip: noChromium }

t.test('names that are markup are shown as they are, and do nothing', there, async t => {
  const { go, see, page, click } = await visit(t, { role: 'change' })
  for (const hash of [
    '#/today',
    `#/account/${encodeURIComponent(HACKED)}`,
    `#/account/${encodeURIComponent(MARKUP_ACCOUNT)}`,
    '#/variables',
    '#/refusals',
  ]) {
    await go(hash)
    if (hash === '#/today') await click('button', 'Show all 10')
    await see(MARKUP)
    t.equal(await page.evaluate('document.querySelectorAll("img").length'), 0, hash)
  }
  const code = '.grid tbody tr:nth-child(3) button'
  await (await page.waitForSelector(code))?.click()
  await see('HELO')
  await see('What each rule saw')
  t.equal(await page.evaluate('document.querySelectorAll("img").length'), 0)
  t.equal(await page.evaluate('window.hacked'), undefined)
})

t.test('nor does an address that somebody was sent', there, async t => {
  const { go, see, page } = await visit(t, { role: 'change' })
  for (const [hash, shown] of [
    [`#/${MARKUP}`, 'Mail over time'],
    [`#/account/${MARKUP}`, MARKUP],
    ['#/account/%E0%A4%A', '%E0%A4%A'],
    [`#/why/${encodeURIComponent(MARKUP)}`, 'Refusals'],
    [`#/refusals?account=${MARKUP}&code=${MARKUP}&since=x&until=1e400`, 'No refusal fits'],
    [`#/variables?search=${MARKUP}`, 'mtpolicyd/mode'],
    ['#/__proto__', 'Mail over time'],
    [`#login=${MARKUP}`, 'Mail over time'],
  ] as const) {
    await go(hash)
    await see(shown)
    t.equal(await page.evaluate('document.querySelectorAll("img").length'), 0, hash)
  }
  t.equal(await page.evaluate('window.hacked'), undefined)
})

t.test('of ten thousand refusals only those in view are in the page', there, async t => {
  const { go, see, page } = await visit(t, { role: 'read' })
  await go('#/refusals')
  await see('200 refusals so far')
  const rows = () => page.$$eval('.grid tbody tr', found => found.length)
  for (let turn = 0; turn < 200; turn++) {
    await page.evaluate("document.querySelector('.window').scrollTop = 1e9")
    const shown = String(await page.evaluate('document.body.innerText'))
    if (shown.includes('10,000 refusals') && !shown.includes('so far')) break
    await new Promise(done => setTimeout(done, 50))
  }
  await see('10,000 refusals')
  t.ok((await rows()) < 100, `${await rows()} rows`)
  // The page has become longer since: to its end once more.
  await page.evaluate("document.querySelector('.window').scrollTop = 1e9")
  const last = '.grid tbody tr[aria-rowindex="10001"]'
  t.ok(await page.waitForSelector(last), 'the last one has been reached')
  t.equal(await page.$eval('.grid', grid => grid.getAttribute('aria-rowcount')), '10001')
})

t.test('refusals are found by account, code, country and rule', there, async t => {
  const { go, see, fill, click, page } = await visit(t, { role: 'read' })
  await go('#/refusals')
  await fill('Account', MARKUP_ACCOUNT)
  await fill('Rule', 'allowed-countries')
  await fill('Country', 'XX')
  await see('No refusal fits')
  t.match(page.url(), 'rule=allowed-countries', 'the address can be handed on')
  await click('button', 'Clear')
  await see('200 refusals so far')
})

t.test('a limit is tried, and then set', there, async t => {
  const { go, see, fill, click, stub } = await visit(t, { role: 'change' })
  await go('#/tryout')
  await see('Recipients per day')
  await click('button', 'Try it')
  await see('Change at least one setting.')
  await fill('Recipients per day', 'many')
  await see('expected a whole number')
  await fill('Recipients per day', '200')
  await click('button', 'Try it')
  await see('newly stopped')
  t.match(stub.posts.at(-1), { path: 'tryout', body: { days: 7 } })
  await click('button', 'Set this …')
  await see('mtpolicyd.conf')
  await click('button', 'Set')
  await see('The variable is set.')
  t.strictSame(stub.posts.at(-1)?.body, { changes: { 'mtpolicyd/threshold': '200' } })
})

t.test('a variable is searched, checked, previewed, set and undone', there, async t => {
  const { go, see, fill, click, page, stub } = await visit(t, { role: 'change' })
  await go('#/variables')
  await see('mtpolicyd/mode')
  await fill('Search by name, value or meaning', 'allowedcountries')
  await see('1 variable')
  await (await page.waitForSelector('.variable summary'))?.click()
  await fill('Value', 'Germany')
  await see('expected ISO 3166 codes')
  await fill('Value', 'DE,FR')
  await click('button', 'Preview …')
  await see('limit = DE,FR')
  await click('button', 'Set')
  await see('The variable is set.')
  await see('DE,AT,CH → DE,FR')
  await click('button', 'Undo')
  await see('The change is undone.')
  t.equal(stub.posts.at(-1)?.path, 'variables/undo')
})

t.test('what is set on the host alone says so, and has no field', there, async t => {
  const { go, see, fill, page } = await visit(t, { role: 'change' })
  await go('#/variables')
  await see('mtpolicyd/mode')
  await fill('Search by name, value or meaning', 'webhook')
  await see('1 variable')
  await (await page.waitForSelector('.variable summary'))?.click()
  await see('It is set on the host only:')
  await see('mtpolicyctl set mtpolicyd/alert/webhook=...')
  t.equal(await page.$('.variable form'), null)
})

t.test('a German browser gets a German page; the switch stays', there, async t => {
  const { go, see, click, page } = await visit(t, { role: 'read', language: 'de-AT' })
  await go('#/today')
  await see('Wer am meisten sendet')
  await see('Deutschland')
  t.equal(await page.evaluate('document.documentElement.lang'), 'de')
  await click('button', 'EN – English')
  await see('Top senders')
  await go('#/today')
  await see('Top senders')
})

t.test('the colours follow the system until they are chosen', there, async t => {
  const { go, see, page } = await visit(t, { role: 'read', scheme: 'dark' })
  await go('#/today')
  await see('Mail over time')
  const becomes = (colour: string) =>
    page.waitForFunction(
      `getComputedStyle(document.documentElement).backgroundColor === '${colour}'`,
    )
  t.ok(await becomes('rgb(13, 17, 23)'))
  await (await page.waitForSelector('button[aria-label^="Colours"]'))?.click()
  t.ok(await becomes('rgb(244, 246, 249)'))
})

t.test(
  'after a restart behind a proxy, which answers 502 meanwhile, the page is live again',
  there,
  async t => {
    const { go, see, stub } = await visit(t, { role: 'read' })
    await go('#/today')
    await see('Daemon running')
    stub.fail = 502
    stub.dropEvents()
    await see('No connection')
    for (let waited = 0; waited < 150 && stub.refusedEvents === 0; waited++) await sleep(100)
    t.ok(stub.refusedEvents > 0, 'the browser does not try by itself any more')
    stub.fail = undefined
    await see('Daemon running')
  },
)

t.test('a session that ends while only events come leads to the login', there, async t => {
  const { go, see, stub } = await visit(t, { role: 'read' })
  await go('#/today')
  await see('Daemon running')
  stub.fail = 401
  stub.dropEvents()
  await see('mtpolicyctl web login')
})

t.test('a session that has ended leads to the login', there, async t => {
  const { go, see, stub, page } = await visit(t, { role: 'read' })
  await go('#/today')
  await see('Mail over time')
  stub.fail = 401
  await page.evaluate("location.hash = '#/refusals'")
  await see('mtpolicyctl web login')
})

t.setTimeout(600_000)
t.teardown(closeBrowser)
