"""Translates addresses of a dump; a script for drgn, whose `prog` the dump is.

Lines of standard input: tables' kernel address (0: the kernel's own) and address, in hexadecimal. Lines of standard
output: the 8 bytes there as a number, or "none".
"""

import sys

import _drgn
from drgn import FaultError

for line in sys.stdin:
    tables, address = (int(word, 16) for word in line.split())
    try:
        if tables == 0:
            data = prog.read(address, 8)
        else:
            data = _drgn._linux_helper_read_vm(prog, tables, address, 8)
        print(int.from_bytes(data, "little"))
    except FaultError:
        print("none")
