/**
 * Comments and messages are plain English: no German syntax under English words.
 *
 * The list grew out of what a native reader stumbled over. A pattern is not a ban of a word; where it
 * is meant as a mail administrator means it, ALLOWED has the phrase.
 */

import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import t from 'tap'
import { isGerman, type Sentence, sentencesOf } from './support/sentences.ts'

const top = join(import.meta.dirname, '..')

/** The advice beside each pattern is printed with what was found. */
const GERMANISMS: ReadonlyArray<readonly [pattern: RegExp, better: string]> = [
  [/^Of (?!course\b)/m, 'a noun first: "Bytes of …", "The argument of …"'],
  [/\banew\b/i, 'again'],
  [/\bat hand\b/i, 'available'],
  [/\bpass(?:ed|es|ing)? (?:\w+ )?over\b/i, 'skipped, ignored'],
  [
    /(?<!\bthere )\b(?:is|are|was|were) no (?!longer\b|more\b|such\b|better\b|worse\b)[a-z]/i,
    'is not a',
  ],
  [/(?<!\bonly )\bso (?:many|much)\b(?! (?:that|as))/i, 'this many, as many'],
  [/\b(?:is|are|was|were|be|been) said\b|\bsaid and\b|\bsaid of\b/i, 'is logged, is reported'],
  [/\bwhoever\b|\bwhomever\b/i, 'the client, the caller, that process'],
  [
    /\bwho (?:asks?|listens?|connects?|reads?|writes?|copies|calls|stays|has the)\b/i,
    'a client that …',
  ],
  [/\b(?:he|him|his|himself)\b/i, 'it, its; they, their'],
  [/\bmend(?:s|ed|ing)?\b/i, 'fix, repair'],
  [/\bof before\b/i, 'previous, former'],
  [/\bstands? (?:in front|behind|beside)\b/i, 'precedes, follows, is beside'],
  [/\b(?:goes|go|going|went) on\b/i, 'continues'],
  [/\b(?:brings?|takes?|taken|took) \w* ?along\b/i, 'includes, takes over'],
  [/\b(?:is|are|be|all) well\b(?!-)/i, 'is healthy, is in order'],
  [/\bforg(?:ets?|etting|ot|otten)\b/i, 'expires, is deleted'],
  [/\bquestions?\b(?! mark)/i, 'query, request'],
  [/\b(?:a blank|blanks)\b/i, 'space'],
  [/\bnothing of (?:it|ours|that|them)\b/i, 'none of it'],
  [/\bas ever\b/i, 'as before'],
  [/\bin the place of\b/i, 'instead of'],
  [/\b(?:thus|hence)\b/i, 'so'],
  [/\bmost often\b/i, 'usually'],
  [/\bwithout meaning\b/i, 'has no effect'],
  [/\bsent away\b/i, 'refused'],
  [/\b(?:whole|process's|daemon's) life\b/i, 'run, lifetime'],
  [/\banswers? (?:leaves?|goes out|go out)\b/i, 'is sent'],
  [/\b(?:is|are|was|were|be|been|being|get|gets) asked\b(?! to\b| for\b)/i, 'is queried'],
  [/\basks? (?:us|the daemon|the list|the server|the DNS|a server|nobody|anybody)\b/i, 'queries'],
  [/\bin vain\b(?!, then)/i, 'without success'],
]

/** In German texts: what a native administrator would write otherwise. Options and commands do not count. */
const UN_GERMAN: ReadonlyArray<readonly [pattern: RegExp, better: string]> = [
  [
    /(?<!^|[.:!?] )\b(?:Sie|Ihnen|Ihre?[mnrs]?)\b|\b(?:[Dd]u|[Dd]ich|[Dd]eine?[mnrs]?)\b/,
    'unpersönlich',
  ],
  [/\b(?:per|im) Default\b|\bdefaultmäßig\b/i, 'voreingestellt, ohne Angabe'],
  [/\bUsers?\b/, 'Benutzer'],
  [/\bAccounts?\b/, 'Konto'],
  [/\bSenders?\b/, 'Absender'],
  [/\bWindows?\b|\brollende[mnrs]?\b/, 'Fenster, gleitend'],
  [/\bQuotas?\b|\bThresholds?\b/, 'Limit'],
  [/\bLog(?:s|file|files|datei)?\b|\bloggen\b|\bgeloggt\b/i, 'Protokoll, protokollieren'],
  [/\bRejects?\b|\breject(?:en|et|ed)\b/, 'ablehnen'],
  [/\b(?:ge)?chec?k(?:en|t)\b|\bresett?en\b|\bsetten\b/i, 'prüfen, zurücksetzen, setzen'],
  [/\bDaemons?\b/, 'Dienst'],
  [/\bMap-?[Ff]iles?\b|\bFiles?\b/, 'Tabelle, Datei'],
  [/\b(?:macht|machen) Sinn\b/, 'ist sinnvoll'],
  [/\bin 20\d\d\b/, 'im Jahr'],
  [/\bpro (?:User|Mail-Adresse)\b/, 'je Benutzer'],
]

/** Phrases in which one of the patterns is plain English. */
const ALLOWED: readonly RegExp[] = [
  // The command.
  /\bmtpolicyctl forget\b/,
  // The table in daemon/README.md.
  /the verdict of before, nothing counted/,
  // As RFC 1035 calls it.
  /\bquestion section\b/,
]

interface Found {
  readonly where: string
  readonly phrase: string
  readonly better: string
}

function findIn(where: string, sentences: readonly Sentence[]): Found[] {
  return sentences
    .filter(({ text }) => !isGerman(text))
    .flatMap(({ line, text }) =>
      GERMANISMS.flatMap(([pattern, better]) => {
        const match = pattern.exec(text)
        if (!match || ALLOWED.some(allowed => allowed.test(text))) return []
        const phrase = text.slice(Math.max(0, match.index - 20), match.index + 40)
        return [{ where: `${where}:${line}`, phrase: phrase.replaceAll(/\s+/g, ' '), better }]
      }),
    )
}

function filesBelow(folder: string, pattern: RegExp): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter(name => pattern.test(name))
    .map(name => join(folder, name))
}

/** Each line of a text that is no program. */
function linesOf(file: string, isOurs: RegExp = /./): Sentence[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .map((text, at) => ({ kind: 'comment', line: at + 1, text }) as const)
    .filter(({ text }) => isOurs.test(text))
}

const daemon = join(top, 'daemon')
const rooms = new Map<string, Found[]>()
for (const file of filesBelow(daemon, /\.ts$/)) {
  const room = relative(daemon, file).split('/').slice(0, -1)[0] ?? 'main.ts'
  const found = findIn(relative(top, file), sentencesOf(readFileSync(file, 'utf8')))
  rooms.set(room, [...(rooms.get(room) ?? []), ...found])
}

/** ROOMS=lookup,wire looks at these alone. */
for (const room of process.env.ROOMS?.split(',') ?? rooms.keys()) {
  t.test(`daemon/${room} is in plain English`, async t => {
    for (const { where, phrase, better } of rooms.get(room) ?? []) {
      t.fail(`${where}: "${phrase}": better ${better}`)
    }
    t.ok(rooms.has(room), 'the room is there')
  })
}

t.test('so are the scripts', async t => {
  const files = filesBelow(join(top, 'scripts'), /\.(?:ts|cjs)$/)
  t.ok(files.length > 10, 'scripts were found')
  for (const file of files) {
    for (const one of findIn(relative(top, file), sentencesOf(readFileSync(file, 'utf8')))) {
      t.fail(`${one.where}: "${one.phrase}": better ${one.better}`)
    }
  }
})

t.test('so is what people read besides the code', async t => {
  const comments = /^\s*#|^ *(?:check|say|fail|stop|echo)\b/
  const texts = [
    ...['README.md', 'CHANGELOG.md', 'Makefile', 'debian/README.Debian', 'debian/control'].map(
      name => [join(top, name), /./] as const,
    ),
    ...filesBelow(daemon, /^[\w-]+\.md$/).map(file => [file, /./] as const),
    ...filesBelow(join(top, 'scripts/manual'), /\.txt$/).map(file => [file, /./] as const),
    ...filesBelow(join(top, 'templates'), /\.hbs$/).map(file => [file, /./] as const),
    ...filesBelow(
      join(top, 'debian'),
      /\.(?:postinst|postrm|prerm|service|socket|path|timer|target|tmpfiles|triggers)$|^start-again$|^tests\//,
    ).map(file => [file, comments] as const),
    ...filesBelow(join(top, 'debian/ucr'), /\.(?:cfg|py)$/).map(file => [file, /./] as const),
    ...filesBelow(join(top, 'scripts'), /\.sh$/).map(file => [file, comments] as const),
  ]
  t.ok(texts.length > 25, 'texts were found')
  t.ok(rooms.size > 20, 'rooms were found')
  for (const [file, isOurs] of texts) {
    t.notMatch(readFileSync(file, 'utf8'), /^(?:<{7}|>{7}) /m, `${relative(top, file)}: a merge`)
    for (const one of findIn(relative(top, file), linesOf(file, isOurs))) {
      t.fail(`${one.where}: "${one.phrase}": better ${one.better}`)
    }
  }
})

t.test('what is in German is as a native administrator writes it', async t => {
  const files = filesBelow(join(top, 'scripts/manual/de'), /\.txt$/)
  t.ok(files.length > 0, 'texts were found')
  const unGerman = (text: string): string[] =>
    UN_GERMAN.flatMap(([pattern, better]) => {
      const [found] = pattern.exec(text.replaceAll(/`[^`]*`|^ {2}.*$/g, '')) ?? []
      return found === undefined ? [] : [`"${found}": ${better}`]
    })
  for (const file of files) {
    for (const { line, text } of linesOf(file)) {
      for (const found of unGerman(text)) t.fail(`${relative(top, file)}:${line}: ${found}`)
    }
  }
  t.strictSame(
    unGerman('Der User kann seine Quota resetten, wenn Sie es per Default wollen.').length,
    5,
  )
  t.strictSame(unGerman('Sie kostet nichts; `per = sender` zählt je Absender.'), [])
})

t.test('the scanner tells comments, texts and patterns apart', async t => {
  const source = [
    "const a = 'one text' // a comment, 'not a text'",
    `const b = /no "text here"/.test(\`and \${c + 'an inner text'} after\`) / 2 // to be divided`,
    '/** A comment',
    ' * of two lines. */',
    "const d = 'word'",
  ].join('\n')
  t.strictSame(
    sentencesOf(source).map(({ kind, line, text }) => [kind, line, text]),
    [
      ['text', 1, 'one text'],
      ['comment', 1, "a comment, 'not a text'"],
      ['text', 2, 'an inner text'],
      ['text', 2, 'and \u2026 after'],
      ['comment', 2, 'to be divided'],
      ['comment', 3, 'A comment\nof two lines.'],
    ],
  )
})

t.test('each pattern finds what it is for', async t => {
  const phrases = (text: string) =>
    findIn('x', [{ kind: 'comment', line: 1, text }]).map(({ better }) => better)
  t.strictSame(phrases('Of the list, what is not a word.').length, 1)
  t.strictSame(phrases('This is no list, and it is passed over.').length, 2)
  t.strictSame(phrases('There is no list, it is no longer used, and so that is said.').length, 1)
  t.strictSame(phrases('A native speaker would write it like this.').length, 0)
  t.strictSame(phrases('der Dienst wird nicht gefragt, who asks').length, 0, 'German is German')
})
