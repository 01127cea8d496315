// @ts-nocheck
import puppeteer from 'puppeteer-core'
import { consoleStub } from '/tmp/wt/w3/test/support/console-stub.ts'
import { HACKED } from '/tmp/wt/w3/test/support/console-data.ts'
const only = process.argv[2]?.split(',')
const widths = (process.argv[3] ?? '1440').split(',').map(Number)
const schemes = (process.argv[4] ?? 'light').split(',')
const lang = process.argv[5] ?? 'en'
const full = process.argv[6] !== 'view'
const stub = await consoleStub('/tmp/wt/w3/dist/web', { prefix: '/mail/console', role: 'change' })
const browser = await puppeteer.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu','--lang='+lang], headless: true })
const pages: Record<string, string> = {
  today: '#/today', accounts: '#/account', account: '#/account/' + encodeURIComponent(HACKED), refusals: '#/refusals', tryout: '#/tryout', variables: '#/variables', why: '#/why/x',
}
const page = await browser.newPage()
page.on('console', m => console.log('console', m.type(), m.text()))
page.on('pageerror', e => console.log('ERR', String(e)))
await page.evaluateOnNewDocument(l => { if (location.href !== 'about:blank') localStorage.setItem('mtpolicyd-language', l) }, lang)
for (const scheme of schemes) {
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }])
  for (const width of widths) {
    await page.setViewport({ width, height: width < 500 ? 800 : 900, deviceScaleFactor: 1 })
    for (const [name, hash] of Object.entries(pages)) {
      if (only && only[0] !== 'all' && !only.includes(name)) continue
      await page.goto('about:blank')
      await page.goto(stub.address + hash, { waitUntil: 'load' })
      await new Promise(r => setTimeout(r, 900))
      const over = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth])
      if (over[0]! > over[1]!) console.log('OVERFLOW', name, width, over)
      await page.screenshot({ path: `/tmp/w3shots/${name}-${width}-${scheme}-${lang}.png` as any, fullPage: full })
    }
  }
}
await browser.close(); await stub.close()
