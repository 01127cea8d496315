# SPDX-License-Identifier: MIT
"""Tells mtpolicyctl that variables have changed; all decisions are made there.

The daemon's own configuration comes first, then Postfix, so that the daemon
listens on a new port before Postfix connects to it. "follow" sets variables
itself and so triggers this module again, which then finds nothing to do. A
rejected value is reported on standard error; the old configuration stays in use.
"""

import os
import subprocess

MTPOLICYCTL = ["/usr/sbin/mtpolicyctl"]
RECIPIENT = "mail/postfix/smtpd/restrictions/recipient/"
ENDPOINT = ("mtpolicyd/host", "mtpolicyd/port")


def handler(ucr, changes):
    # Removed but not purged: UCR's files are still there, the program is not.
    if not os.access(MTPOLICYCTL[0], os.X_OK):
        return
    if any(key.startswith("mtpolicyd/") for key in changes):
        subprocess.call(MTPOLICYCTL + ["commit"])
    # When UCR commits or registers templates, it passes patterns, and values
    # instead of changes: then no variable has changed.
    moved = [key for key, change in changes.items() if is_change(change)
             and (key.startswith(RECIPIENT) or key in ENDPOINT)]
    if moved:
        given = [key for key in moved if key.startswith(RECIPIENT) and changes[key][1]]
        subprocess.call(MTPOLICYCTL + ["postfix", "follow"] + sorted(given))


def is_change(change):
    return isinstance(change, (tuple, list)) and len(change) == 2 and any(change)
