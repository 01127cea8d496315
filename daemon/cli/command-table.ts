/**
 * What can be typed: the commands and options of the three programs, declared once.
 *
 * `--help`, the manual pages and the completion of the shell are drawn from here, and the programs
 * parse by it. What a command does stands in its own file, not here.
 */

/** What the shell offers in a place. */
export type Offer = 'files' | 'directories' | 'variables' | 'assignments' | readonly string[]

export interface OptionDeclaration {
  readonly type: 'boolean' | 'string'
  readonly short?: string
  readonly default?: string
  readonly multiple?: boolean
  /** What its argument is called. */
  readonly argument?: string
  readonly offers?: Offer
  readonly doc: string
  /** Stands before the command, as in UCR. */
  readonly isFilter?: true
  /** Understood because the original, or UCR, understands it; nobody is told. */
  readonly isHidden?: true
}

export type Options = Readonly<Record<string, OptionDeclaration>>

export interface Command {
  /** One word, or two: `postfix register`. */
  readonly name: string
  readonly operands: string
  readonly offers?: Offer
  /** One line for --help. */
  readonly summary: string
  /** The rest, for its own --help and for the manual. */
  readonly more: string
  readonly options: Options
}

const json = {
  type: 'boolean',
  doc: 'Answer in JSON, for programs.',
} as const

const help = { type: 'boolean', short: 'h', doc: 'Show this text.' } as const

const version = { type: 'boolean', doc: 'Show the version.' } as const

const root = {
  type: 'string',
  default: '/',
  argument: 'DIR',
  offers: 'directories',
  doc: 'Move all paths of the program below DIR. It needs no privileges there.',
} as const

/** mtpolicyd. The options are the original's, and --root. */
export const daemonOptions = {
  foreground: {
    type: 'boolean',
    short: 'f',
    doc: 'Stay in the foreground and log to standard error.',
  },
  config: {
    type: 'string',
    short: 'c',
    argument: 'FILE',
    offers: 'files',
    doc: 'Use this configuration. Without it: the one made from the host variables.',
  },
  loglevel: {
    type: 'string',
    short: 'l',
    argument: 'N',
    offers: ['1', '2', '3', '4'],
    doc:
      'Log more or less than the configuration says: 1 a line per verdict, 2 start and stop, ' +
      '3 connections, 4 everything. Errors are always logged.',
  },
  root,
  cron: {
    type: 'string',
    short: 't',
    argument: 'LIST',
    offers: ['hourly', 'daily', 'weekly', 'monthly'],
    doc: 'Run the periodic tasks of this list (hourly,daily,...) and exit.',
  },
  dump_config: {
    type: 'boolean',
    short: 'd',
    doc: 'Load the configuration, show what is wrong with it, and exit.',
  },
  dump_vhosts: { type: 'boolean', isHidden: true, doc: 'The same as --dump_config.' },
  version,
  help,
} as const satisfies Options

/** policyd-client. Here -h is the original's, so help has no such letter. */
export const clientOptions = {
  host: {
    type: 'string',
    short: 'h',
    default: 'localhost:12345',
    argument: 'HOST:PORT',
    doc: 'Where the server listens. Default: localhost:12345.',
  },
  socket_path: {
    type: 'string',
    short: 's',
    argument: 'PATH',
    offers: 'files',
    doc: 'Connect to this unix socket instead.',
  },
  keepalive: { type: 'boolean', short: 'k', doc: 'Ask all requests on one connection.' },
  verbose: {
    type: 'boolean',
    short: 'v',
    doc: 'Show on standard error what is sent and received.',
  },
  help: { type: 'boolean', short: '?', doc: 'Show this text.' },
  usage: { type: 'boolean', isHidden: true, doc: 'The same as --help.' },
} as const satisfies Options

/** mtpolicyctl, before the command. */
export const controlOptions = { root, version, help } as const satisfies Options

const configDir = {
  type: 'string',
  multiple: true,
  argument: 'DIR',
  offers: 'directories',
  doc: 'Another Postfix instance than the primary one: its configuration directory. Repeatable.',
} as const

const postfixOptions = { 'config-dir': configDir, json } as const satisfies Options

/** UCR's layers. On a server without UCR they are files of our own. */
const scopeOptions: Options = {
  force: { type: 'boolean', doc: 'Change the layer that wins over all others.' },
  forced: { type: 'boolean', isHidden: true, doc: 'The same as --force.' },
  'ldap-policy': { type: 'boolean', isHidden: true, doc: 'Change the layer of LDAP policies.' },
  schedule: { type: 'boolean', isHidden: true, doc: 'Change the layer of schedules.' },
}

const jsonFilter = { ...json, isFilter: true } as const
const shellFilter = {
  type: 'boolean',
  isFilter: true,
  doc: 'Answer in lines that a shell can read. Stands before the command.',
} as const

const listFilters: Options = {
  shell: shellFilter,
  'keys-only': {
    type: 'boolean',
    isFilter: true,
    doc: 'Show names without values. Stands before the command.',
  },
  sort: { type: 'boolean', isFilter: true, isHidden: true, doc: 'Everything is sorted anyway.' },
  json: jsonFilter,
}

export const commandGroups: ReadonlyArray<readonly [title: string, list: readonly Command[]]> = [
  [
    'The daemon',
    [
      {
        name: 'status',
        operands: '',
        summary: 'is it alive, does it count, does Postfix ask it',
        more:
          'Shows one line for each thing that matters, with ok or BAD before it. The exit ' +
          'status is 0 if ' +
          'nothing is BAD, else 1.',
        options: { json },
      },
      {
        name: 'check',
        operands: '[FILE]',
        offers: 'files',
        summary: 'what is wrong with the configuration',
        more:
          'Reads the file as the daemon does and shows every mistake, as FILE:LINE:COLUMN. ' +
          'Without ' +
          'FILE: the configuration that is in force. The exit status is 1 if there is an ' +
          'error; a ' +
          'warning alone leaves it at 0. Nothing is started or changed.',
        options: { json },
      },
      {
        name: 'reload',
        operands: '',
        summary: 'take over a changed configuration',
        more:
          'Makes the daemon read its configuration again. Needed for files written by hand; ' +
          'set and ' +
          'unset do it by themselves. Open connections stay. A ' +
          'configuration with a fatal mistake is not taken over: the old one stays in use.',
        options: {},
      },
    ],
  ],
  [
    'The host variables',
    [
      {
        name: 'set',
        operands: 'NAME=VALUE ...',
        offers: 'assignments',
        summary: 'such as mtpolicyd/threshold=200; takes effect at once',
        more:
          'Stores values. A value is checked against its type, the configuration is written ' +
          'anew and checked, ' +
          'and only then both are put in place. The running daemon takes them over within two ' +
          'seconds. NAME?VALUE sets only what is not set yet. On a UCS server this goes ' +
          'through ucr.',
        options: {
          ...scopeOptions,
          'ignore-check': { type: 'boolean', doc: 'Store a value that does not fit its type.' },
        },
      },
      {
        name: 'unset',
        operands: 'NAME ...',
        offers: 'variables',
        summary: 'back to the default',
        more:
          'Forgets what was set: the default is in force again. Takes effect at once, as set ' +
          'does.',
        options: scopeOptions,
      },
      {
        name: 'get',
        operands: 'NAME',
        offers: 'variables',
        summary: 'the value',
        more:
          'Prints the value, and nothing else. Prints nothing, and exits 0, if the variable ' +
          'has no value.',
        options: { shell: shellFilter, json: jsonFilter },
      },
      {
        name: 'search',
        operands: '[TEXT ...]',
        offers: 'variables',
        summary: 'variables with their meaning',
        more:
          'Shows variables with value and meaning. TEXT is a regular expression that is ' +
          'looked for in the names. Without it: all variables.',
        options: {
          key: { type: 'boolean', doc: 'Look in the names. This is the default.' },
          value: { type: 'boolean', doc: 'Look in the values.' },
          all: { type: 'boolean', doc: 'Look in names, values and explanations.' },
          brief: { type: 'boolean', doc: 'Leave the explanations out.' },
          verbose: { type: 'boolean', doc: 'Show the category, too.' },
          'non-empty': { type: 'boolean', doc: 'Leave out what has no value.' },
          category: {
            type: 'string',
            argument: 'NAME',
            offers: ['service-mail'],
            doc: 'Only variables of this category.',
          },
          ...listFilters,
        },
      },
      {
        name: 'info',
        operands: 'NAME ...',
        offers: 'variables',
        summary: 'one variable in full',
        more: 'Shows value, meaning, category, default and type.',
        options: { json: jsonFilter },
      },
      {
        name: 'dump',
        operands: '',
        summary: 'all values, for people',
        more: 'Shows all variables that have a value, one line each: NAME: VALUE.',
        options: listFilters,
      },
      {
        name: 'shell',
        operands: '[NAME ...]',
        offers: 'variables',
        summary: 'all values, for a shell',
        more: 'Shows NAME=VALUE lines for a shell. What a name may not hold there is written as _.',
        options: {},
      },
      {
        name: 'commit',
        operands: '[FILE ...]',
        offers: 'files',
        summary: 'write the configuration from the variables anew',
        more:
          'Writes the configuration from the variables, also when none has changed. One that ' +
          'somebody wrote by hand is left alone, and that is said. ' +
          '--force-template puts the one made from the variables in its place.',
        options: {
          'force-template': { type: 'boolean', doc: 'Replace a file that was written by hand.' },
        },
      },
      {
        name: 'update',
        operands: '',
        summary: 'take over new defaults',
        more:
          'Takes over the defaults of a new version. The package runs it when it is ' +
          'upgraded. What somebody has set stays.',
        options: {},
      },
    ],
  ],
  [
    'Postfix',
    [
      {
        name: 'postfix register',
        operands: '',
        summary: 'ask the daemon about every message',
        more:
          'Adds one item to smtpd_end_of_data_restrictions, writes down what was changed, and ' +
          'reloads Postfix. Where main.cf may not be edited, nothing is changed and the line ' +
          'to add ' +
          'is shown. Doing it twice changes nothing.',
        options: postfixOptions,
      },
      {
        name: 'postfix unregister',
        operands: '',
        summary: 'take exactly that back',
        more:
          'Takes the item out again and reloads Postfix. The files are byte for byte what ' +
          'they were before, except for what others have changed since.',
        options: postfixOptions,
      },
      {
        name: 'postfix status',
        operands: '',
        summary: 'what Postfix asks now',
        more:
          'Shows what each service of each instance asks. The exit status is 1 if Postfix ' +
          'does not ask.',
        options: postfixOptions,
      },
    ],
  ],
  [
    'The package (its installation calls these by itself)',
    [
      {
        name: 'ready',
        operands: '',
        summary: 'does the daemon answer where Postfix would ask it',
        more:
          'Asks the daemon one request, as Postfix does, and makes sure that it is the daemon of ' +
          'this host that answers. The exit status is 0 if it is.',
        options: {
          wait: {
            type: 'string',
            argument: 'SECONDS',
            doc: 'Try again for so long.',
          },
        },
      },
      {
        name: 'takeover',
        operands: '',
        summary: 'use what Debian’s mtpolicyd left behind, once',
        more:
          'Copies /etc/mtpolicyd/mtpolicyd.conf and the counters it names. The copy is used if ' +
          'this version can do everything it says; otherwise it lies beside the configuration, ' +
          'as mtpolicyd.conf.from-mtpolicyd. The originals are not changed, and may be purged.',
        options: { json },
      },
      {
        name: 'geoip update',
        operands: '',
        summary: 'newer country data, from tor-geoipdb',
        more:
          'Makes the country database anew from the files of Debian’s package tor-geoipdb, if ' +
          'they are newer than the one that comes with the program. dpkg calls it whenever they ' +
          'change.',
        options: {
          from: {
            type: 'string',
            argument: 'DIR',
            offers: 'directories',
            doc: 'Where the files geoip and geoip6 are. Default: /usr/share/tor.',
          },
        },
      },
      {
        name: 'postfix follow',
        operands: '[KEY ...]',
        summary: 'what changed elsewhere, taken over',
        more:
          'Host or port of the daemon have changed, or these variables of UCR: the item in Postfix ' +
          'follows. Where nothing is registered, nothing is done and nothing is said.',
        options: postfixOptions,
      },
      {
        name: 'ucr setup',
        operands: '',
        summary: 'make UCR know the variables of this package',
        more: 'Also their defaults and the hook by which ucr set takes effect. Without UCR: nothing.',
        options: {},
      },
      {
        name: 'ucr remove',
        operands: '',
        summary: 'make UCR forget that hook',
        more: 'Before the package is removed. Without UCR: nothing.',
        options: {},
      },
    ],
  ],
]

export const commands: readonly Command[] = commandGroups.flatMap(([, list]) => list)
