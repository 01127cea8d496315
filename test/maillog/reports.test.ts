/**
 * Lines of Postfix's log as administrators published them, and as a Postfix 3.7 wrote them: what becomes of
 * the message that was counted. Only lines without a head were given one.
 */

import t from 'tap'
import { openLedger } from '../../daemon/ledger/ledger.ts'
import { GiveBack } from '../../daemon/maillog/give-back.ts'
import { lineParser } from '../../daemon/maillog/parser.ts'
import { MemoryStore } from '../support/memory-store.ts'

const NOW = Date.UTC(2026, 11, 1)
const RECIPIENTS = 3
const HEAD = 'Nov 30 20:41:02 mail'
const parse = lineParser({ now: () => NOW, timezone: 'UTC' })

/** Of header_checks: they refuse nothing. */
const ACTIONS = [
  'warning',
  'info',
  'prepend',
  'replace',
  'discard',
  'hold',
  'redirect',
  'bcc',
  'strip',
  'delay',
  'filter',
  'pass',
]

/** A message that was counted, and what Postfix logged afterwards. */
interface Story {
  readonly it: string
  /** Where it was published; none: seen on a Postfix 3.7. */
  readonly source?: string
  readonly lines: readonly string[]
  /** Of the message that was counted; empty behind a proxy. */
  readonly queueId?: string
  /** smtpd's process id. */
  readonly process?: number
  /** Its sender's account, folded. */
  readonly account?: string
}

const GIVEN_BACK: readonly Story[] = [
  {
    it: 'a milter refuses a message, which only cleanup logs',
    source: 'https://github.com/schweikert/mailgraph/pull/16',
    queueId: '40C12F39F',
    lines: [
      'Jan 19 14:42:50 SYSTEMNAME postfix/cleanup[3101]: 40C12F39F: milter-reject: END-OF-MESSAGE from 45.Red-80-39-23.staticIP.rima-tde.net[80.39.23.45]: 5.7.1 Delivery not authorized, message refused!; from=<PierceJeremiah1411@example.com> to=<nonpollutingja@example.com> proto=ESMTP helo=<45.Red-80-39-23.staticIP.rima-tde.net>',
    ],
  },
  {
    it: 'greylisting by rspamd defers a message at its end',
    source: 'https://github.com/rspamd/rspamd/issues/1776',
    queueId: 'B8A44169A1C',
    lines: [
      `${HEAD} postfix/cleanup[66014]: B8A44169A1C: milter-reject: END-OF-MESSAGE from unknown[1.2.3.4]: 4.7.1 Try again later; from=<user@domain.com>`,
    ],
  },
  {
    it: 'a message without a Message-ID is taken for spam',
    source: 'https://github.com/docker-mailserver/docker-mailserver/issues/4007',
    queueId: '0437429007C5',
    lines: [
      'May  7 23:04:43 mx postfix/smtpd[717267]: 0437429007C5: client=unknown[64.147.123.154]',
      'May  7 23:04:43 mx postfix/cleanup[717285]: 0437429007C5: message-id=<>',
      'May  7 23:04:43 mx postfix/cleanup[717285]: 0437429007C5: milter-reject: END-OF-MESSAGE from unknown[64.147.123.154]: 5.7.1 Spam message rejected; from=<hello@hello.asciinema.org> to=<my@email> proto=ESMTP helo=<wfhigh3-smtp.messagingengine.com>',
      'May  7 23:04:43 mx postfix/smtpd[717267]: disconnect from unknown[64.147.123.154] ehlo=2 starttls=1 mail=1 rcpt=1 data=0/1 quit=1 commands=6/7',
    ],
  },
  {
    it: 'a virus of an own user, with colons in the reason',
    source: 'https://github.com/i-MSCP',
    queueId: '0A618260345',
    account: 'nuxwin@domain.tld',
    lines: [
      'Feb 20 03:26:16 precise postfix/smtpd[19062]: 0A618260345: client=unknown[192.168.5.100], sasl_method=CRAM-MD5, sasl_username=nuxwin@domain.tld',
      'Feb 20 03:26:16 precise postfix/cleanup[19158]: 0A618260345: milter-reject: END-OF-MESSAGE from unknown[192.168.5.100]: 5.7.1 Blocked by ClamAV - FOUND VIRUS: Eicar-Test-Signature; from=<nuxwin@domain.tld> to=<nuxwin@domain.tld> proto=ESMTP helo=<[192.168.5.100]>',
    ],
  },
  {
    it: 'mailcow replaces a header, then its rate limit refuses',
    source: 'https://github.com/mailcow/mailcow-dockerized/issues/5304',
    queueId: 'B86DB5EF08',
    account: 'real-login@sender.com',
    lines: [
      'Jul  3 01:26:53 eb54cfeb0022 postfix/submission/smtpd[440]: B86DB5EF08: client=sender.ip.com[123.123.123.123], sasl_method=PLAIN, sasl_username=real-login@sender.com',
      'Jul  3 01:26:53 eb54cfeb0022 postfix/cleanup[442]: B86DB5EF08: replace: header Received: from [127.0.0.1] (sender.ip.com [123.123.123.123])??(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)?? key-exchange X25519 server-signature RSA-PSS (4096 bits)  from sender.ip.com[123.123.123.123]; from=<allowed-spoofed@sender.com> to=<rcpt@rcpt.com> proto=ESMTP helo=<[127.0.0.1]>: Received: from [127.0.0.1] (localhost [127.0.0.1]) by localhost (Mailerdaemon) with ESMTPSA id B86DB5EF08??for <rcpt@rcpt.com>; Mon,  3 Jul 2023 01:26:53 +0200 (CEST)',
      'Jul  3 01:26:53 eb54cfeb0022 postfix/cleanup[442]: B86DB5EF08: milter-reject: END-OF-MESSAGE from sender.ip.com[123.123.123.123]: 4.7.1 Ratelimit "mailcow" exceeded; from=<allowed-spoofed@sender.com> to=<rcpt@rcpt.com> proto=ESMTP helo=<[127.0.0.1]>',
    ],
  },
  {
    it: 'rspamd limits by recipient, with escaped quotation marks in the reason',
    source: 'https://github.com/hardware/mailserver/issues/252',
    queueId: '915FF130C0142',
    lines: [
      '2018-06-08T19:30:46.638689+00:00 mail postfix/cleanup[677]: 915FF130C0142: milter-reject: END-OF-MESSAGE from localhost[127.0.0.1]: 4.7.1 Ratelimit \\"to\\" exceeded; from=<willettaleary7117bjxk@yahoo.com> to=<mails@mails.net> proto=ESMTP helo=<mail.mails.net>',
    ],
  },
  {
    it: 'Plesk’s own limiter refuses a message from ::1',
    source:
      'https://support.plesk.com/hc/en-us/articles/213389069-How-outgoing-messages-limit-works',
    queueId: 'AE16288F80',
    lines: [
      `${HEAD} postfix/cleanup[7018]: AE16288F80: milter-reject: END-OF-MESSAGE from localhost[::1]: 5.7.0 Your message could not be sent. The limit on the number of allowed outgoing messages was exceeded. Try again later.; from=<user@test.tld> to=<> proto=ESMTP helo=<webmail.test.tld>`,
    ],
  },
  {
    it: 'Plesk’s greylisting refuses at DATA',
    source: 'https://plesk.com/?p=214013',
    queueId: 'E612613C0057',
    lines: [
      `${HEAD} postfix/smtpd[10450]: E612613C0057: milter-reject: DATA from unknown[203.0.113.2]: 550 5.7.1 Command rejected; from=<[email protected]> to=<[email protected]> proto=ESMTP helo=<mail.example.com> -`,
    ],
  },
  {
    it: 'Plesk’s greylisting defers at DATA',
    source: 'https://plesk.com/?p=214013',
    queueId: '85AB012F841',
    lines: [
      `${HEAD} postfix/smtpd[1598278]: 85AB012F841: milter-reject: DATA from localhost[127.0.0.1]: 451 4.7.1 Service unavailable - try again later; from=<[email protected]> to=<[email protected]> proto=ESMTP helo=<mail.example.com>`,
    ],
  },
  {
    it: 'a milter says that there were too many errors',
    source: 'https://github.com/rspamd/rspamd/issues/1149',
    queueId: '78A977FE20',
    lines: [
      `${HEAD} postfix/cleanup[1]: 78A977FE20: milter-reject: END-OF-MESSAGE from webmail.bnet.at[92.62.30.5]: 4.3.2 Too many errors ! Come back later. - See http://helpdesk.ugent.be/email/faq.php; from=<arno.bundschuh@bnet.at> to=<leni.deneve@ugent.be> proto=ESMTP helo=<webmail.bnet.at>`,
    ],
  },
  {
    it: 'a map of senders is gone, and cleanup takes no message',
    source: 'https://github.com/whyscream/postfix-grok-patterns/issues/182',
    queueId: '9BECF3F19D',
    lines: [
      'Jan 10 11:19:39 hostname postfix/cleanup[777199]: warning: hash:/etc/postfix/sender_canonical_maps is unavailable. open database /etc/postfix/sender_canonical_maps: No such file or directory',
      'Jan 10 11:19:39 hostname postfix/cleanup[777199]: warning: hash:/etc/postfix/sender_canonical_maps lookup error for "sender@example.com"',
      'Jan 10 11:19:39 hostname postfix/cleanup[777199]: warning: 9BECF3F19D: sender_canonical_maps map lookup problem for sender@example.com -- message not accepted, try again later',
    ],
  },
  {
    it: 'a map of recipients is gone, where queue ids are long',
    source: 'https://github.com/whyscream/postfix-grok-patterns/issues/182',
    queueId: '4T8Zh133D8zGpCM',
    lines: [
      `${HEAD} postfix/cleanup[7]: warning: 4T8Zh133D8zGpCM: recipient_canonical_maps map lookup problem for x@example.com -- message not accepted, try again later`,
    ],
  },
  {
    it: 'the password for the LDAP server has changed, and aliases cannot be looked up',
    source: 'https://github.com/univention/univention-corporate-server',
    queueId: 'C83DF343006',
    lines: [
      'Nov 30 00:19:01 master091 postfix/cleanup[2143]: warning: ldap:/etc/postfix/ldap.groups lookup error for "root@master091.AutoTest091.test"',
      'Nov 30 00:19:01 master091 postfix/cleanup[2143]: warning: C83DF343006: virtual_alias_maps map lookup problem for root@master091.AutoTest091.test -- message not accepted, try again later',
    ],
  },
  {
    it: 'the users see a queue file write error: a map of copies is gone',
    source: 'https://github.com/docker-mailserver/docker-mailserver/issues/3519',
    queueId: '05CF3218249',
    lines: [
      'Nov 30 20:56:25 mail postfix/submission/smtpd[22016]: 05CF3218249: client=unknown[127.0.0.2], sasl_method=PLAIN, sasl_username=alice@mail.example.org',
      'Nov 30 20:56:25 mail postfix/cleanup[22020]: warning: fail:ldapdown lookup error for "alice@example.org"',
      'Nov 30 20:56:25 mail postfix/cleanup[22020]: warning: 05CF3218249: sender_bcc_maps map lookup problem -- message not accepted, try again later',
      'Nov 30 20:56:25 mail postfix/cleanup[22020]: 064FE218249: message-id=<20261130205625.064FE218249@mail.example.org>',
    ],
  },
  {
    it: 'a message has been through too many servers',
    queueId: '5D776218248',
    lines: [
      'Nov 30 20:56:20 mail postfix/submission/smtpd[21738]: 5D776218248: client=unknown[127.0.0.2], sasl_method=PLAIN, sasl_username=alice@mail.example.org',
      'Nov 30 20:56:20 mail postfix/cleanup[21741]: 5D776218248: message-id=<20261130205620.021924@vm>',
      'Nov 30 20:56:20 mail postfix/cleanup[21741]: warning: 5D776218248: message rejected: hopcount exceeded',
    ],
  },
  {
    it: 'an alias has more members than Postfix takes',
    queueId: 'CABCE218236',
    lines: [
      'Nov 30 20:56:41 mail postfix/cleanup[22241]: warning: CABCE218236: unreasonable virtual_alias_maps map expansion size for list@example.org -- message not accepted, try again later',
    ],
  },
  {
    it: 'an alias has itself as a member',
    queueId: 'CABCE218236',
    lines: [
      `${HEAD} postfix/cleanup[22241]: warning: CABCE218236: unreasonable virtual_alias_maps map nesting for list@example.org -- message not accepted, try again later`,
    ],
  },
  {
    it: 'a message, counted at DATA, is too big',
    queueId: '1F4CB21824B',
    lines: [
      'Nov 30 20:56:37 mail postfix/submission/smtpd[22143]: 1F4CB21824B: client=unknown[127.0.0.2], sasl_method=PLAIN, sasl_username=alice@mail.example.org',
      'Nov 30 20:56:37 mail postfix/submission/smtpd[22143]: warning: 1F4CB21824B: queue file size limit exceeded',
      'Nov 30 20:56:37 mail postfix/cleanup[22147]: 1F4CB21824B: message-id=<20261130205637.022142@vm>',
      'Nov 30 20:56:37 mail postfix/cleanup[22147]: warning: mail_stream_cleanup: close error',
    ],
  },
  {
    it: 'the disk is full',
    queueId: '1F4CB21824B',
    lines: [
      `${HEAD} postfix/cleanup[22147]: warning: 1F4CB21824B: write queue file: No space left on device`,
    ],
  },
  {
    it: 'a filter before the queue does not answer in time',
    source: 'https://github.com/modoboa/modoboa/issues/2564',
    process: 3413,
    account: 'alice',
    lines: [
      'Jul 23 11:00:15 mail postfix/smtpd[3413]: warning: timeout talking to proxy inet:[127.0.0.1]:10024',
      'Jul 23 11:00:15 mail postfix/smtpd[3413]: proxy-reject: END-OF-MESSAGE: 451 4.3.0 Error: queue file write error; from=<o4kuy2o@jcom.zaq.ne.jp> to=<info@maindomain.com> proto=ESMTP helo=<mgw1.mx.zaq.ne.jp> sasl_username=<alice>',
    ],
  },
  {
    it: 'a filter before the queue refuses, in words that look like the end of them',
    process: 23031,
    account: 'alice@mail.example.org',
    lines: [
      'Nov 30 20:57:14 mail postfix/submission/smtpd[23031]: NOQUEUE: client=unknown[127.0.0.2], sasl_method=PLAIN, sasl_username=alice@mail.example.org',
      'Nov 30 20:57:14 mail postfix/submission/smtpd[23031]: proxy-reject: END-OF-MESSAGE: 550 5.7.1 no spam here; really; from=<alice@example.org> to=<b@example.net> proto=ESMTP helo=<client.example.net> sasl_username=<alice@mail.example.org>',
    ],
  },
  {
    it: 'behind a filter, the login is the one that was typed, in capital letters',
    process: 23031,
    account: 'alice@mail.example.org',
    lines: [
      `${HEAD} postfix/smtps/smtpd[23031]: proxy-reject: END-OF-MESSAGE: 550 5.7.1 no; from=<alice@example.org> to=<b@example.net> proto=ESMTP helo=<x> sasl_username=<Alice@Mail.Example.org>`,
    ],
  },
  {
    it: 'behind a filter, Postfix 3.10 writes the login in another way',
    process: 23031,
    account: 'alice@mail.example.org',
    lines: [
      `${HEAD} postfix/smtpd[23031]: proxy-reject: END-OF-MESSAGE: 550 5.7.1 no; from=<alice@example.org> to=<b@example.net> proto=ESMTP helo=<x> sasl_method=PLAIN sasl_username=alice@mail.example.org`,
    ],
  },
  {
    it: 'behind a filter that gives no reason',
    source: 'https://github.com/whyscream/postfix-grok-patterns',
    process: 23031,
    account: 'user1',
    lines: [
      `${HEAD} postfix/smtpd[23031]: proxy-reject: END-OF-MESSAGE: ; from=<user1@test.example.com> to=<user2@example2.com> proto=ESMTP helo=<[192.168.0.16]> sasl_username=<user1>`,
    ],
  },
  {
    it: 'a header with a date of the future is refused, by an old Postfix',
    source: 'https://rt.cpan.org/Public/Bug/Display.html?id=28807',
    queueId: '8B7EF2BB7',
    lines: [
      `${HEAD} postfix/cleanup[3]: 8B7EF2BB7: reject: header Date: Mon, 18 Jan 2038 19:07:11 +0800 from unknown[192.168.7.245]; from=<bcfxhdfyrey4l@easterndalek.com> to=<service@exterminate.com> proto=ESMTP helo=<realmail.iiiiiii.com>: Message content rejected`,
    ],
  },
  {
    it: 'a header with a semicolon is refused, with a second code in the reason',
    source: 'https://github.com/bokysan/docker-postfix/pull/15',
    queueId: 'A6E4F22800B',
    lines: [
      'Jan 16 16:09:37 falcon postfix/cleanup[29790]: A6E4F22800B: reject: header Content-Type: text/plain;??charset="gb2312" from poplet2.per.eftel.com[203.24.100.45]; from=<cplwest@cpl.net.au> to=<mikel@mikelward.com> proto=ESMTP helo=<poplet2.per.eftel.com>: 5.7.1 554 Character set prohibited.  You have sent a message in a language I don\'t understand.',
    ],
  },
  {
    it: 'a subject that reads like a line of a log is refused itself',
    queueId: '56D8B23ADB1',
    lines: [
      'Nov 30 20:52:43 mail postfix/cleanup[11922]: 56D8B23ADB1: reject: header Subject: bad5 from evil[203.0.113.9]; from=<x@y> to=<z@z> proto=ESMTP helo=<q>: 5.7.1 foo from unknown[127.0.0.2]; from=<alice@example.org> to=<b@example.net> proto=ESMTP helo=<client.example.net>: 5.7.1 no such words',
    ],
  },
  {
    it: 'addresses in quotation marks read like the end of a line',
    queueId: '8E77D218253',
    lines: [
      'Nov 30 20:57:04 mail postfix/cleanup[22745]: 8E77D218253: reject: header Subject: bad5 x from unknown[127.0.0.2]; from=<"a b; from=<x>"@example.org> to=<"c d> to=<"@example.net> proto=ESMTP helo=<client.example.net>: 5.7.1 no such words',
    ],
  },
  {
    it: 'two lines for one message with umlauts in its header and body',
    queueId: '4jdbt70bV5zJXHg',
    lines: [
      'Nov 30 20:56:47 mail postfix/cleanup[22314]: 4jdbt70bV5zJXHg: reject: mime-error improper use of 8-bit data in message header: Subject: Grüße from unknown[127.0.0.2]; from=<alice@example.org> to=<b@example.net>',
      'Nov 30 20:56:47 mail postfix/cleanup[22314]: 4jdbt70bV5zJXHg: message-id=<20261130205647.022309@vm>',
      'Nov 30 20:56:47 mail postfix/cleanup[22314]: 4jdbt70bV5zJXHg: reject: mime-error improper use of 8-bit data in message body: äöü from unknown[127.0.0.2]; from=<alice@example.org> to=<b@example.net>',
    ],
  },
  {
    it: 'a word in the body is refused',
    queueId: 'B3392218245',
    lines: [
      'Nov 30 20:56:17 mail postfix/cleanup[21741]: B3392218245: reject: body bodybad text from unknown[127.0.0.2]; from=<alice@example.org> to=<b@example.net> proto=ESMTP helo=<client.example.net>: 5.7.1 body words',
    ],
  },
  {
    it: 'the client’s port is logged',
    source: 'https://github.com/fail2ban/fail2ban/issues/1902',
    queueId: 'E04B521824E',
    lines: [
      'Nov 30 20:56:56 mail postfix/submission/smtpd[22669]: E04B521824E: client=h.example[2001:db8::1:0:0:ab]:37733, sasl_method=PLAIN, sasl_username=alice@mail.example.org',
      'Nov 30 20:56:56 mail postfix/cleanup[22672]: E04B521824E: reject: header Subject: bad5 x from h.example[2001:db8::1:0:0:ab]:37733; from=<alice@example.org> to=<b@example.net> proto=ESMTP helo=<client.example.net>: 5.7.1 no such words',
    ],
  },
  ...[
    '2001:660:530d:203::1b',
    '::1',
    'fe80::5748:b385:9b31:5fd%br0',
    '::ffff:192.0.2.1',
    'unknown',
  ].map(address => ({
    it: `the client is ${address}`,
    source: 'https://github.com/darold/sendmailanalyzer/issues/8',
    queueId: '4101B87FB4',
    lines: [
      `${HEAD} postfix/cleanup[1]: 4101B87FB4: milter-reject: END-OF-MESSAGE from unknown[${address}]: 5.7.1 no; from=<a@example.org> to=<b@example.net> proto=ESMTP helo=<x>`,
    ],
  })),
  ...[
    '4jdbnx6SQdzKZnb',
    '3p7RMT0zrYz20p',
    '3Pt2mN2VXxznjll',
    '4ZxGkq0Lz1z9rxJBB',
    '4ZxGkq0Lz1z9rxJBBCDf',
    'C569C12',
  ].map(queueId => ({
    it: `the queue id is ${queueId}`,
    source: 'https://github.com/kumina/postfix_exporter/issues/114',
    queueId,
    lines: [
      `${HEAD} postfix/cleanup[1]: ${queueId}: milter-reject: END-OF-MESSAGE from a[192.0.2.1]: 5.7.1 no; from=<a@example.org> to=<b@example.net> proto=ESMTP helo=<x>`,
    ],
  })),
  ...[
    'postfix/sender-cleanup/cleanup[2259668]',
    'postfix-example.com/cleanup[5148]',
    'postfix-mx/content-filter/cleanup[273144]',
    'postfix/submission-haproxy/smtpd[3868]',
    'postfix/submissions-proxyprotocol/smtpd[7650]',
    'postfix/smtps/smtpd[4136]',
    'postfix-submission/smtpd[1]',
    'haproxy/smtpd[3]',
    'mx1/cleanup[1]',
    // The severity is where the host should be (https://github.com/bokysan/docker-postfix/issues/181).
    '   postfix/cleanup[39551]',
  ].map(tag => ({
    it: `Postfix logs as ${tag}`,
    source: 'https://github.com/fail2ban/fail2ban/issues/3297',
    queueId: '27937120C92',
    lines: [
      `2026-03-15T21:55:22.164603-03:00 lin2 ${tag}: 27937120C92: milter-reject: END-OF-MESSAGE from unknown[172.19.0.1]: 5.7.1 x; from=<a@example.org> to=<b@example.net> proto=ESMTP helo=<x>`,
    ],
  })),
  {
    it: 'the login follows at the end of the line, and a second one in the HELO name',
    source: 'https://github.com/mail-in-a-box/mailinabox/pull/2074',
    queueId: '4101B87FB4',
    lines: [
      `${HEAD} postfix/cleanup[1]: 4101B87FB4: milter-reject: END-OF-MESSAGE from a[192.0.2.1]: 5.7.1 no; from=<a@example.org> to=<b@example.net> proto=ESMTP helo=<x> sasl_username=<boss> sasl_method=PLAIN sasl_username=alice`,
    ],
  },
  {
    it: 'the time is in milliseconds and UTC, as Zimbra’s',
    source: 'https://github.com/crowdsecurity/hub/pull/163',
    queueId: '4101B87FB4',
    lines: [
      '2021-02-28T11:58:36.591Z zmproxy.fws.fr postfix/smtps/smtpd[4136]: 4101B87FB4: milter-reject: DATA from a[192.0.2.1]: 550 5.7.1 no; from=<a@example.org>',
    ],
  },
  ...['Mar 06 16:57:22', 'Mar  6 16:57:22', '2026-03-06T17:57:22+01:00'].map(time => ({
    it: `the day is written as in ${time}`,
    source: 'https://github.com/munin-monitoring/contrib/issues/1520',
    queueId: '4101B87FB4',
    lines: [
      `${time} mail postfix/smtpd[990077]: 4101B87FB4: milter-reject: DATA from a[192.0.2.1]: 550 5.7.1 no; from=<a@example.org>`,
    ],
  })),
  {
    it: 'the form of the time changes in the middle of the log, on the day of the upgrade',
    source: 'https://github.com/schweikert/mailgraph/issues/21',
    queueId: 'B83DE2400BE',
    lines: [
      'Mar 13 12:04:08 cx20-2 postfix/pickup[7274]: B83DE2400BE: uid=30 from=<wwwrun>',
      '2026-03-13T12:04:09.755361+00:00 cx20-2 postfix/cleanup[7275]: B83DE2400BE: milter-reject: END-OF-MESSAGE from a[192.0.2.1]: 5.7.1 no; from=<a@example.org>',
    ],
  },
  {
    it: 'the same line comes three times, with a priority and in a repetition, too',
    source: 'https://github.com/rsyslog/rsyslog/issues/5102',
    queueId: '4101B87FB4',
    lines: ['', '<22>', 'x'].map(form => {
      const text =
        '4101B87FB4: milter-reject: END-OF-MESSAGE from a[192.0.2.1]: 5.7.1 no; from=<a@example.org>'
      return form === 'x'
        ? `${HEAD} postfix/cleanup[1]: message repeated 2 times: [ ${text}]`
        : `${form}${HEAD} postfix/cleanup[1]: ${text}`
    }),
  },
  {
    it: 'a restriction behind the daemon refuses at DATA',
    source: 'https://github.com/fail2ban/fail2ban/issues/2927',
    queueId: '06FF1218240',
    lines: [
      `${HEAD} postfix/smtpd[1]: 06FF1218240: reject: DATA from unknown[127.0.0.2]: 550 5.5.3 <DATA>: Data command rejected: Multi-recipient bounce; from=<> proto=ESMTP helo=<client.example.net>`,
    ],
  },
  {
    it: 'a restriction behind the daemon refuses at BDAT',
    source: 'https://github.com/fail2ban/fail2ban/issues/2927',
    queueId: '8892C160605',
    lines: [
      `${HEAD} postfix/smtpd[1]: 8892C160605: reject: BDAT from unknown[127.0.0.2]: 550 5.5.3 <DATA>: Data command rejected: Multi-recipient bounce; from=<> proto=ESMTP helo=<client.example.net>`,
    ],
  },
  {
    it: 'a check of a milter’s headers refuses',
    queueId: '4101B87FB4',
    lines: [
      `${HEAD} postfix/cleanup[1]: 4101B87FB4: milter-header-reject: header X-Spam-Flag: YES from a[192.0.2.1]; from=<a@example.org> to=<b@example.net> proto=ESMTP helo=<x>: 5.7.1 no`,
    ],
  },
  {
    it: 'the reason has a byte that is not UTF-8, so the journal has numbers',
    source: 'https://github.com/vectordotdev/vector/issues/1714',
    queueId: '4101B87FB4',
    lines: [
      JSON.stringify({
        __REALTIME_TIMESTAMP: String(NOW * 1000),
        SYSLOG_IDENTIFIER: 'postfix/cleanup',
        MESSAGE: [
          ...Buffer.from('4101B87FB4: milter-reject: END-OF-MESSAGE from a[192.0.2.1]: 5.7.1 '),
          0xe9,
        ],
      }),
    ],
  },
]

const STAYS_COUNTED: readonly Story[] = [
  {
    it: 'Docker Compose’s name is in front: no form of a log that is read',
    source: 'https://github.com/mailcow/mailcow-dockerized/issues/5304',
    queueId: 'B86DB5EF08',
    lines: [
      'mailcowtestenv-postfix-mailcow-1          | Jul  3 01:26:53 eb54cfeb0022 postfix/cleanup[442]: B86DB5EF08: milter-reject: END-OF-MESSAGE from sender.ip.com[123.123.123.123]: 4.7.1 Ratelimit "mailcow" exceeded; from=<allowed-spoofed@sender.com> to=<rcpt@rcpt.com> proto=ESMTP helo=<[127.0.0.1]>',
      'mailserver      | 2018-06-08T19:30:46.638689+00:00 mail postfix/cleanup[677]: B86DB5EF08: milter-reject: END-OF-MESSAGE from localhost[127.0.0.1]: 4.7.1 Ratelimit; from=<a@example.org>',
    ],
  },
  {
    it: 'the log has no time',
    source: 'https://github.com/Mailu/Mailu/issues/128',
    queueId: '4101B87FB4',
    lines: [
      'mail postfix/cleanup[1]: 4101B87FB4: milter-reject: END-OF-MESSAGE from a[192.0.2.1]: 5.7.1 no; from=<a@example.org>',
    ],
  },
  {
    it: 'a milter refuses one of its recipients',
    source: 'https://github.com/rspamd/rspamd/issues/1149',
    queueId: '5A9BA7FE6E',
    lines: [
      `${HEAD} postfix/smtpd[1]: 5A9BA7FE6E: milter-reject: RCPT from webmail.bnet.at[92.62.30.5]: 451 4.3.2 Too many errors ! Come back later. - See http://helpdesk.ugent.be/email/faq.php; from=<arno.bundschuh@bnet.at> to=<xyz.abc@ugent.be> proto=ESMTP helo=<webmail.bnet.at>`,
    ],
  },
  {
    it: 'another message, without a queue id, is refused, from an address that is none',
    source: 'https://github.com/whyscream/postfix-grok-patterns/pull/200',
    queueId: '4101B87FB4',
    lines: [
      `${HEAD} postfix/smtpd[1]: NOQUEUE: milter-reject: RCPT from mailrelay.example.com[256.256.256.256]: 451 4.7.1 Greylisting in action, please come back later; from=<support@example.com> to=<example@example.org> proto=ESMTP helo=<mailrelay.example.com>`,
    ],
  },
  ...['RCPT', 'DATA', 'END-OF-MESSAGE'].map(stage => ({
    it: `a restriction would refuse at ${stage}, but only warns`,
    source: 'https://github.com/whyscream/postfix-grok-patterns/issues/158',
    queueId: '4101B87FB4',
    lines: [
      `${HEAD} postfix/smtpd[1]: 4101B87FB4: reject_warning: ${stage} from example.com[93.184.216.34]: 553 5.7.1 <sender@example.com>: Sender address rejected: not owned by user ph123; from=<sender@example.com> to=<recipient@example.com> proto=ESMTP helo=<example.com>`,
    ],
  })),
  {
    it: 'a map cannot be looked up for the notice to the postmaster',
    queueId: '0F98C21824A',
    lines: [
      'Nov 30 20:56:33 mail postfix/cleanup[22090]: warning: fail:ldapdown lookup error for "alice@example.org"',
      'Nov 30 20:56:33 mail postfix/cleanup[22090]: warning: 0FF6C21824A: sender_canonical_maps map lookup problem for double-bounce@mail.example.org -- message not accepted, try again later',
    ],
  },
  {
    it: 'warnings about maps name no message',
    queueId: 'ABCDEF0123',
    lines: [
      `${HEAD} postfix/cleanup[1]: warning: hash:/etc/postfix/ABCDEF0123: table lookup problem -- message not accepted, try again later`,
      `${HEAD} postfix/cleanup[1]: warning: ldap:/etc/postfix/ABCDEF0123 lookup error for "ABCDEF0123: x map lookup problem -- message not accepted, try again later"`,
      `${HEAD} postfix/trivial-rewrite[28780]: warning: ABCDEF0123: virtual_alias_maps map lookup problem -- message not accepted, try again later`,
      `${HEAD} postfix/smtp[28780]: warning: ABCDEF0123: queue file size limit exceeded`,
      `${HEAD} postfix/cleanup[1]: warning: virtual_alias_maps map lookup problem -- message not accepted, try again later`,
      `${HEAD} postfix/cleanup[1]: warning: ABCDEF0123: header Subject: x map lookup problem -- message not accepted, try again later`,
      `${HEAD} postfix/cleanup[1]: warning: ABCDEF0123: Milter or header/body_checks request to add multi-recipient: "message rejected: hopcount exceeded"`,
      `${HEAD} postfix/cleanup[1]: ABCDEF0123: warning: header Subject: message rejected: hopcount exceeded from a[192.0.2.1]; from=<a> to=<b> proto=ESMTP helo=<x>`,
      `${HEAD} postfix/smtpd[1]: warning: ABCDEF0123[192.0.2.1]: SASL LOGIN authentication failed: message rejected: hopcount exceeded`,
    ],
  },
  {
    it: 'behind a filter, another message, without a login, is refused',
    source: 'https://github.com/modoboa/modoboa/issues/2564',
    process: 3413,
    account: 'alice',
    lines: [
      'Jul 23 10:57:00 mail postfix/smtpd[3413]: NOQUEUE: client=fbsnd01103-jc.im.kddi.ne.jp[222.227.81.243]',
      'Jul 23 11:00:15 mail postfix/smtpd[3413]: warning: timeout talking to proxy inet:[127.0.0.1]:10024',
      'Jul 23 11:00:15 mail postfix/smtpd[3413]: proxy-reject: END-OF-MESSAGE: 451 4.3.0 Error: queue file write error; from=<o4kuy2o@jcom.zaq.ne.jp> to=<info@maindomain.com> proto=ESMTP helo=<mgw1.mx.zaq.ne.jp>',
    ],
  },
  {
    it: 'behind a filter, another message, of another process or account, is refused',
    process: 3413,
    account: 'alice',
    lines: [
      `${HEAD} postfix/smtpd[3414]: proxy-reject: END-OF-MESSAGE: 550 5.7.1 no; from=<a> to=<b> proto=ESMTP helo=<x> sasl_username=<alice>`,
      `${HEAD} postfix/smtpd[3413]: proxy-reject: END-OF-MESSAGE: 550 5.7.1 no; from=<a> to=<b> proto=ESMTP helo=<x> sasl_username=<bob>`,
      `${HEAD} postfix/smtpd: proxy-reject: END-OF-MESSAGE: 550 5.7.1 no; from=<a> to=<b> proto=ESMTP helo=<x> sasl_username=<alice>`,
    ],
  },
  {
    it: 'behind a filter, another message is refused whose addresses, or answer, name a login',
    process: 3413,
    account: 'alice',
    lines: [
      `${HEAD} postfix/smtpd[3413]: proxy-reject: END-OF-MESSAGE: 550 5.7.1 no; from=<"x> proto=ESMTP helo=<h> sasl_username=<alice"@example.org> to=<b> proto=ESMTP helo=<x>`,
      `${HEAD} postfix/smtpd[3413]: proxy-reject: END-OF-MESSAGE: 550 5.7.1 no; from=<a> to=<"x> proto=ESMTP helo=<h> sasl_username=<alice>"@example.org> proto=SMTP`,
      `${HEAD} postfix/smtpd[3413]: proxy-reject: END-OF-MESSAGE: 550 5.7.1 no; from=<a> to=<"x> proto=ESMTP helo=<h> sasl_method=PLAIN sasl_username=alice"@example.org> proto=SMTP`,
      `${HEAD} postfix/smtpd[3413]: proxy-reject: END-OF-MESSAGE: 550 5.7.1 no; from=<a> to=<b> proto=ESMTP helo=<h> sasl_username=<alice>; from=<a> to=<b> proto=ESMTP helo=<x>`,
    ],
  },
  {
    it: 'a filter before the queue accepts',
    source: 'https://github.com/whyscream/postfix-grok-patterns',
    process: 3413,
    account: 'alice',
    lines: [
      `${HEAD} postfix/smtpd[3413]: proxy-accept: END-OF-MESSAGE: 250 2.0.0 from MTA(smtp:[127.0.0.1]:10013): 250 2.0.0 Ok: queued as DF66E940333; from=<a> to=<b> proto=ESMTP helo=<x> sasl_username=<alice>`,
    ],
  },
  {
    it: 'its subject, which is only logged, reads like a refusal',
    source: 'https://github.com/takeyamajp/docker-postfix/issues/4',
    queueId: 'A690523A5DF',
    lines: [
      'Nov 30 20:52:42 mail postfix/cleanup[11922]: A690523A5DF: warning: header Subject: warn: milter-reject: END-OF-MESSAGE from unknown[127.0.0.2]: 5.7.1 x; from=<alice@example.org> to=<b@example.net> proto=ESMTP helo=<h> from unknown[127.0.0.2]; from=<alice@example.org> to=<b@example.net> proto=ESMTP helo=<client.example.net>: seen',
    ],
  },
  ...[
    'milter-reject: END-OF-MESSAGE from a[192.0.2.1]: 5.7.1 x; from=<a> to=<b> proto=ESMTP helo=<h>',
    'A690523A5DF: milter-reject: END-OF-MESSAGE from a[192.0.2.1]: 5.7.1 x; from=<a>',
    '??A690523A5DF: reject: header x from a[192.0.2.1]; from=<a> to=<b> proto=ESMTP helo=<h>: no',
    'Nov 30 20:41:02 mail postfix/cleanup[1]: A690523A5DF: reject: body x from a[192.0.2.1]; from=<a>',
    'warning: A690523A5DF: message rejected: hopcount exceeded',
    'x -- message not accepted, try again later',
    'proxy-reject: END-OF-MESSAGE: 5; from=<a> to=<b> proto=ESMTP helo=<h> sasl_username=<alice>',
    'A690523A5DF: canceled',
    'message repeated 2 times: [ A690523A5DF: canceled]',
  ].map(subject => ({
    it: `rules for headers only look at the subject ${subject}`,
    queueId: 'A690523A5DF',
    // Of this message, and of another one.
    lines: ACTIONS.flatMap(action => [
      `${HEAD} postfix/cleanup[1]: A690523A5DF: ${action}: header Subject: ${subject} from unknown[127.0.0.2]; from=<a@example.org> to=<b@example.net> proto=ESMTP helo=<x>: seen`,
      `${HEAD} postfix/cleanup[1]: B690523A5DF: ${action}: header Subject: ${subject} from unknown[127.0.0.2]; from=<a@example.org> to=<b@example.net> proto=ESMTP helo=<x>: ${subject}`,
    ]),
  })),
  {
    it: 'another message is refused whose subject names this one',
    queueId: 'A690523A5DF',
    lines: [
      `${HEAD} postfix/cleanup[1]: B690523A5DF: reject: header Subject: A690523A5DF: milter-reject: END-OF-MESSAGE from a[192.0.2.1]: 5.7.1 x; from=<a> from unknown[127.0.0.2]; from=<a@example.org> to=<b@example.net> proto=ESMTP helo=<x>: A690523A5DF: canceled`,
      `${HEAD} postfix/cleanup[1]: B690523A5DF: message-id=<A690523A5DF: milter-reject: END-OF-MESSAGE from a[192.0.2.1]: 5.7.1 x>`,
      `${HEAD} postfix/smtpd[1]: NOQUEUE: reject: DATA from a[192.0.2.1]: 550 5.7.1 A690523A5DF: reject: DATA from a[192.0.2.1]: 550 5.7.1 x; from=<a>`,
    ],
  },
  {
    it: 'a verbose smtpd repeats what a client says',
    source: 'https://github.com/bokysan/docker-postfix/issues/181',
    queueId: 'AAAA1111',
    lines: [
      `${HEAD} postfix/smtpd[39551]: < evil[203.0.113.9]: AAAA1111: milter-reject: END-OF-MESSAGE from a[192.0.2.1]: 5.7.1 x; from=<a>`,
      `${HEAD} postfix/smtpd[39551]: > evil[203.0.113.9]: 250 AAAA1111: canceled`,
    ],
  },
  {
    it: 'another program logs what reads like Postfix’s words',
    source: 'https://github.com/logstash-plugins/logstash-patterns-core/issues/193',
    queueId: '4101B87FB4',
    lines: [
      `${HEAD} rspamd[7]: 4101B87FB4: milter-reject: END-OF-MESSAGE from a[192.0.2.1]: 5.7.1 no`,
      `${HEAD} dovecot: lmtp(x): postfix/cleanup[1]: 4101B87FB4: milter-reject: END-OF-MESSAGE from a[192.0.2.1]: 5.7.1 no`,
      // Without a tag of its own.
      `${HEAD} user logs in as postfix/cleanup[1]: 4101B87FB4: milter-reject: END-OF-MESSAGE from a[192.0.2.1]: 5.7.1 no`,
      `${HEAD} user logs in as x/cleanup: 4101B87FB4: canceled`,
      `${HEAD} postfix/qmgr[1]: 4101B87FB4: milter-reject: END-OF-MESSAGE from a[192.0.2.1]: 5.7.1 no`,
    ],
  },
  {
    it: 'amavis passes it on, and its second leg, with another queue id, is refused',
    source: 'https://github.com/Mailtrain-org/mailtrain/pull/269',
    queueId: 'B2BBE8414B5',
    lines: [
      'Jun 27 14:30:11 server-mx postfix/smtpd[8270]: B2BBE8414B5: client=localhost[127.0.0.1], sasl_method=PLAIN, sasl_username=mail@sender.tld',
      'Jun 27 14:30:12 server-mx postfix/smtpd[8318]: C642C8414CE: client=localhost[127.0.0.1]',
      'Jun 27 14:30:12 server-mx postfix/cleanup[8319]: C642C8414CE: milter-reject: END-OF-MESSAGE from localhost[127.0.0.1]: 5.7.1 no; from=<a@example.org>',
    ],
  },
  ...[
    'hold: header Subject: hold x from unknown[127.0.0.2]; from=<alice@example.org> to=<b@example.net> proto=ESMTP helo=<client.example.net>: looked at',
    'redirect: header Subject: redir x from unknown[127.0.0.2]; from=<alice@example.org> to=<c@example.net> proto=ESMTP helo=<client.example.net>: spamtrap@example.org',
    'discard: header Subject: disc x from unknown[127.0.0.2]; from=<alice@example.org> to=<b@example.net> proto=ESMTP helo=<client.example.net>: gone',
    'milter-discard: END-OF-MESSAGE from a[192.0.2.1]: milter triggers DISCARD action; from=<a@example.org> to=<b@example.net> proto=ESMTP helo=<x>',
    'milter-hold: END-OF-MESSAGE from a[192.0.2.1]: milter triggers HOLD action; from=<a@example.org> to=<b@example.net> proto=ESMTP helo=<x>',
    'from=<alice@example.org>, size=441, nrcpt=3 (queue active)',
    'to=<b@example.net>, relay=x, delay=1, delays=0/0/0/1, dsn=5.7.1, status=bounced (host x said: 550 5.7.1 milter-reject: END-OF-MESSAGE from y)',
  ].map(text => ({
    it: `Postfix has accepted it: ${text.slice(0, 30)}`,
    source: 'https://github.com/sdgathman/pymilter/issues/63',
    queueId: 'BAA7C218243',
    lines: [`${HEAD} postfix/cleanup[21741]: BAA7C218243: ${text}`],
  })),
  {
    it: 'the client hangs up, which names no message',
    queueId: 'BAA7C218243',
    lines: [
      `${HEAD} postfix/smtpd[1]: lost connection after DATA (0 bytes) from unknown[127.0.0.1]`,
      `${HEAD} postfix/smtpd[1]: disconnect from unknown[64.147.123.154] ehlo=2 mail=1 rcpt=1 data=0/1 quit=1 commands=6/7`,
    ],
  },
  {
    it: 'the journal has lost lines, or the text of one',
    source: 'https://www.rootusers.com/how-to-change-log-rate-limiting-in-linux/',
    queueId: 'BAA7C218243',
    lines: [
      'Jan  9 09:18:07 server1 journal: Suppressed 7124 messages from /system.slice/system-postfix.slice',
      JSON.stringify({
        __REALTIME_TIMESTAMP: String(NOW * 1000),
        SYSLOG_IDENTIFIER: 'postfix/cleanup',
        MESSAGE: null,
      }),
    ],
  },
]

function judged({ queueId = '', process = 7, account = 'alice' }: Story, now: number) {
  const day = new Date(now).toISOString().slice(0, 10)
  const window = { name: day, endsAt: Date.parse(day) + 86_400_000 }
  return {
    account,
    stage: 'END-OF-MESSAGE' as const,
    instance: `${process.toString(16)}.6564b0a1.1.0`,
    connection: 1,
    service: '192.0.2.1:587',
    recipient: '',
    recipients: RECIPIENTS,
    bytes: 0,
    queueId,
    mostRecipients: Number.POSITIVE_INFINITY,
    now,
    claims: [{ counter: 'day', subject: account, window, unit: 'recipients' as const, limit: 100 }],
  }
}

function titleOf({ it, source }: Story): string {
  return source === undefined ? it : `${it} (${source})`
}

/** What is counted once the log is read, and how often something was given back. */
async function read(story: Story): Promise<{ used: number; times: number }> {
  const readable = story.lines.map(line => parse(line)).find(one => one !== undefined)
  const now = readable?.at ?? NOW
  const ledger = openLedger(new MemoryStore())
  const event = judged(story, now)
  await ledger.judge(event)
  const failures: string[] = []
  const back = new GiveBack({
    parse,
    ledger,
    since: 0,
    clock: { now: () => now + 500, elapsed: () => 0, after: () => () => undefined },
    tell: () => undefined,
    failed: message => void failures.push(message),
  })
  await back.take(story.lines)
  t.strictSame(failures, [])
  const [claim] = event.claims
  const used = claim ? ledger.used(claim.counter, claim.subject, claim.window, now) : Number.NaN
  return { used, times: back.messages }
}

t.test('mail that Postfix has refused after it was counted costs nothing', async t => {
  for (const story of GIVEN_BACK) {
    t.strictSame(await read(story), { used: 0, times: 1 }, titleOf(story))
  }
})

t.test('mail that Postfix has accepted stays counted, whatever its log seems to say', async t => {
  for (const story of STAYS_COUNTED) {
    t.strictSame(await read(story), { used: RECIPIENTS, times: 0 }, titleOf(story))
  }
})
