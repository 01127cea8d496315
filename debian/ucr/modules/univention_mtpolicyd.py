# SPDX-License-Identifier: MIT
"""Tells mtpolicyctl that variables have changed; everything is decided there.

First the daemon's own configuration, then Postfix: with a new port the daemon
listens before it is asked. "follow" sets variables itself, so this is called
again while it runs, and then finds nothing to do. A refused value is reported
on standard error and leaves the old configuration in use.
"""

import os
import subprocess

MTPOLICYCTL = ["/usr/sbin/mtpolicyctl"]
RECIPIENT = "mail/postfix/smtpd/restrictions/recipient/"
ENDPOINT = ("mtpolicyd/host", "mtpolicyd/port")


def handler(ucr, changes):
    # Removed, but not purged: the files of UCR stay, the program does not.
    if not os.access(MTPOLICYCTL[0], os.X_OK):
        return
    if any(key.startswith("mtpolicyd/") for key in changes):
        subprocess.call(MTPOLICYCTL + ["commit"])
    # A commit or registration names patterns, and gives values instead of
    # changes: nobody has switched anything on or off then.
    moved = [key for key, change in changes.items() if is_change(change)
             and (key.startswith(RECIPIENT) or key in ENDPOINT)]
    if moved:
        given = [key for key in moved if key.startswith(RECIPIENT) and changes[key][1]]
        subprocess.call(MTPOLICYCTL + ["postfix", "follow"] + sorted(given))


def is_change(change):
    return isinstance(change, (tuple, list)) and len(change) == 2 and any(change)
