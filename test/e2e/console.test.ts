/** The web console in a real Chromium, before the real program: nothing between them is a stand-in. */

import t from 'tap'
import { closeBrowser, noChromium, reads } from '../support/console-browser.ts'
import { MARKUP, MARKUP_ACCOUNT } from '../support/console-data.ts'
import { askPort, installDaemon } from '../support/daemon.ts'

const mail = (account: string, instance: number, recipients: number, client = '192.0.2.7') => ({
  request: 'smtpd_access_policy',
  protocol_state: 'END-OF-MESSAGE',
  instance: `a.${instance}.0`,
  sasl_username: account,
  sender: MARKUP,
  helo_name: MARKUP,
  client_address: client,
  recipient_count: String(recipients),
  size: '2400',
})

t.test(
  'an account is hacked, looked at and blocked in the console',
  { skip: noChromium },
  async t => {
    const daemon = await installDaemon({ 'mtpolicyd/maillog': 'none', 'mtpolicyd/threshold': '20' })
    t.teardown(() => daemon.remove())
    await daemon.start()
    await askPort(daemon.port, mail('alice', 1, 3))
    await askPort(daemon.port, mail(MARKUP_ACCOUNT, 2, 18))
    const refused = await askPort(daemon.port, mail(MARKUP_ACCOUNT, 3, 5))
    const code = /[0-9A-Z]{3}-[0-9A-Z]{3}/.exec(String(refused))?.[0] ?? ''
    t.not(code, '', String(refused))
    const on = await daemon.ctl('web', 'on')
    const link = /http:\S+/.exec(on.stdout)?.[0] ?? ''

    const { page, see, click, fill } = await reads(t)
    const go = (hash: string) => page.evaluate(`location.hash = ${JSON.stringify(hash)}`)
    await page.goto(link)
    await see('Mail over time')
    t.notMatch(page.url(), 'login=')
    await see('Top senders')
    await see('alice')
    await see(MARKUP_ACCOUNT)
    await see('Daemon running')

    await go('#/refusals')
    await see(code)
    await click('button', `Explain ${code}`)
    await see('What each rule saw')
    await see('What would let such mail through')
    await see(MARKUP)
    await page.keyboard.press('Escape')

    await go(`#/account/${encodeURIComponent(MARKUP_ACCOUNT)}`)
    await see('18 of 20')
    await click('button', 'Block …')
    await click('radio', 'in 1 day')
    await fill('Reason', 'spam')
    await click('button', 'Block')
    await see('Blocked, until')
    t.match(await askPort(daemon.port, mail(MARKUP_ACCOUNT, 4, 1)), /reject/)
    t.match((await daemon.ctl('measures')).stdout, /spam/)

    await go('#/tryout')
    await see('Recipients per day')
    await fill('Recipients per day', '2')
    await click('button', 'Try it')
    await see('What would have happened')

    await go('#/variables')
    await see('mtpolicyd/threshold/hour')
    await fill('Search by name, value or meaning', 'mtpolicyd/threshold/message')
    await see('3 variables')
    await (await page.waitForSelector('.variable summary'))?.click()
    await fill('Value', 'few')
    await page.waitForSelector('input[aria-invalid=true]')
    await fill('Value', '2')
    await click('button', 'Preview …')
    await see('mtpolicyd.conf')
    await click('button', 'Set')
    await see('The variable is set.')
    t.equal((await daemon.ctl('get', 'mtpolicyd/threshold/message')).stdout, '2\n')
    await click('button', 'Undo')
    await see('The change is undone.')
    t.equal(await page.evaluate('window.hacked'), undefined)
    t.equal(await page.evaluate('document.querySelectorAll("img").length'), 0)
  },
)

t.setTimeout(600_000)
t.teardown(closeBrowser)
