"""Runs a program to which the kernel gives only sockets of some families, as systemd's RestrictAddressFamilies= does.

    address-families.py AF_INET,AF_UNIX PROGRAM ARGUMENT...

x86-64 only. Exit status 75: the kernel has no seccomp filters.
"""

import ctypes
import errno
import os
import socket
import struct
import sys

LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, FAIL = 0x7FFF0000, 0x00050000
SOCKET_CALL = 41
NUMBER_OFFSET, FIRST_ARGUMENT_OFFSET = 0, 16
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2


def instruction(code, if_so, if_not, value):
    return struct.pack("HBBI", code, if_so, if_not, value)


def filter_for(families):
    """Of a call other than socket(2), or one of these families, ALLOW; otherwise EAFNOSUPPORT."""
    count = len(families)
    steps = [
        instruction(LOAD, 0, 0, NUMBER_OFFSET),
        instruction(JUMP_IF_EQUAL, 0, count + 2, SOCKET_CALL),
        instruction(LOAD, 0, 0, FIRST_ARGUMENT_OFFSET),
    ]
    for at, family in enumerate(families):
        steps.append(instruction(JUMP_IF_EQUAL, count - at, 0, family))
    steps.append(instruction(RETURN, 0, 0, FAIL | errno.EAFNOSUPPORT))
    steps.append(instruction(RETURN, 0, 0, ALLOW))
    return b"".join(steps)


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("steps", ctypes.c_void_p)]


def main(families, argv):
    steps = filter_for([int(getattr(socket, name)) for name in families.split(",")])
    kept = ctypes.create_string_buffer(steps, len(steps))
    program = Program(len(steps) // 8, ctypes.addressof(kept))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        sys.exit(75)
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0) != 0:
        sys.exit(75)
    os.execv(argv[0], argv)


main(sys.argv[1], sys.argv[2:])
