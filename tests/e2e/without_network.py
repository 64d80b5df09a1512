"""Runs a command that the kernel kills when it asks for any but a local socket: Linux only.

`python without_network.py COMMAND...`: a seccomp filter holds for the command, its threads, the
libraries in C that it loads, and every process that it starts; none of them can take it off. Only
sockets of the machine itself (AF_UNIX) and of the kernel (AF_NETLINK) can be made.
"""

import ctypes
import os
import platform
import socket
import sys

MACHINES = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}
"""The kernel's number of the architecture, and of the call `socket` there."""

LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
ARCHITECTURE, CALL, FIRST_ARGUMENT = 4, 0, 16
KILL, ALLOW = 0x80000000, 0x7FFF0000
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, FILTER = 22, 38, 2


class Instruction(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_uint16),
        ("if_true", ctypes.c_uint8),
        ("if_false", ctypes.c_uint8),
        ("value", ctypes.c_uint32),
    )


class Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("instructions", ctypes.POINTER(Instruction)))


def forbid_network():
    architecture, socket_call = MACHINES[platform.machine()]
    instructions = [
        (LOAD, 0, 0, ARCHITECTURE),
        (JUMP_IF_EQUAL, 0, 5, architecture),
        (LOAD, 0, 0, CALL),
        (JUMP_IF_EQUAL, 0, 4, socket_call),
        (LOAD, 0, 0, FIRST_ARGUMENT),
        (JUMP_IF_EQUAL, 2, 0, socket.AF_UNIX),
        (JUMP_IF_EQUAL, 1, 0, socket.AF_NETLINK),
        (RETURN, 0, 0, KILL),
        (RETURN, 0, 0, ALLOW),
    ]
    array = (Instruction * len(instructions))(*instructions)
    program = Program(len(instructions), array)
    library = ctypes.CDLL(None, use_errno=True)
    for call in (
        (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (PR_SET_SECCOMP, FILTER, ctypes.byref(program), 0, 0),
    ):
        if library.prctl(*call) != 0:
            raise OSError(ctypes.get_errno(), "the kernel takes no filter")


if __name__ == "__main__":
    forbid_network()
    os.execvp(sys.argv[1], sys.argv[1:])
