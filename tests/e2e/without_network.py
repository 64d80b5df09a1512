"""Runs a command without any network, and tells who asked for it: Linux only.

`python without_network.py REPORT COMMAND...`: a seccomp filter holds for the command, its threads,
the libraries in C that it loads, and every process that it starts; none of them can take it off.
Only sockets of the machine itself (AF_UNIX) and of the kernel (AF_NETLINK) can be made. Who asks
for another is refused, and a line about it goes to the file REPORT.
"""

import array
import ctypes
import errno
import fcntl
import os
import platform
import select
import socket
import struct
import sys
from pathlib import Path

MACHINES = {"x86_64": (0xC000003E, 41, 317), "aarch64": (0xC00000B7, 198, 277)}
"""The kernel's number of the architecture, and of the calls `socket` and `seccomp` there."""

LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
ARCHITECTURE, CALL, FIRST_ARGUMENT = 4, 0, 16
KILL, ASK, ALLOW = 0x80000000, 0x7FC00000, 0x7FFF0000
PR_SET_NO_NEW_PRIVS, SET_FILTER, NEW_LISTENER = 38, 1, 8

RECEIVE, ANSWER = 0xC0502100, 0xC0182101
QUESTION = struct.Struct("=QII iIQ6Q")
"""seccomp_notif: id, process, flags; call, architecture, place, arguments."""
REPLY = struct.Struct("=QqiI")
"""seccomp_notif_resp: id, value, error, flags."""


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
    """Install the filter in this process; returns the descriptor that is asked at each attempt."""
    architecture, socket_call, seccomp_call = MACHINES[platform.machine()]
    instructions = [
        (LOAD, 0, 0, ARCHITECTURE),
        (JUMP_IF_EQUAL, 1, 0, architecture),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, CALL),
        (JUMP_IF_EQUAL, 0, 4, socket_call),
        (LOAD, 0, 0, FIRST_ARGUMENT),
        (JUMP_IF_EQUAL, 2, 0, socket.AF_UNIX),
        (JUMP_IF_EQUAL, 1, 0, socket.AF_NETLINK),
        (RETURN, 0, 0, ASK),
        (RETURN, 0, 0, ALLOW),
    ]
    packed = (Instruction * len(instructions))(*instructions)
    program = Program(len(instructions), packed)
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "the kernel takes no promise of no new rights")
    listener = library.syscall(seccomp_call, SET_FILTER, NEW_LISTENER, ctypes.byref(program))
    if listener < 0:
        raise OSError(ctypes.get_errno(), "the kernel takes no filter")
    return listener


def watch(listener, report):
    """Refuse every attempt and write it down, until the last process under the filter has ended."""
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    while True:
        [(_, events)] = poll.poll()
        if not events & select.POLLIN:
            return
        buffer = array.array("B", bytes(QUESTION.size))
        try:
            fcntl.ioctl(listener, RECEIVE, buffer)
        except OSError as error:  # who asked has ended meanwhile
            if error.errno in (errno.ENOENT, errno.EINTR):
                continue
            raise
        identity, process, _, _, _, _, family, *_ = QUESTION.unpack(buffer)
        with report.open("a", encoding="utf-8") as opened:
            opened.write(f"{socket.AddressFamily(family).name} by {command_of(process)}\n")
        answer = array.array("B", REPLY.pack(identity, 0, -errno.EACCES, 0))
        try:
            fcntl.ioctl(listener, ANSWER, answer)
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise


def command_of(process):
    try:
        words = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return f"process {process}"
    return b" ".join(words).decode(errors="replace").strip()


def main():
    report, command = Path(sys.argv[1]), sys.argv[2:]
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        listener = forbid_network()
        socket.send_fds(theirs, [b"."], [listener])
        os.close(listener)
        os.execvp(command[0], command)
    theirs.close()
    _, [listener], _, _ = socket.recv_fds(ours, 1, 1)
    watch(listener, report)
    _, status = os.waitpid(child, 0)
    sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
