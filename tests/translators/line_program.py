"""A program that reads lines and writes lines, and goes wrong as its first argument says when a line holds "bad"."""

from __future__ import annotations

import os
import sys
import time

how = sys.argv[1]
if how == "at_end":
    sys.stdout.writelines(line.upper() for line in sys.stdin.readlines())
    raise SystemExit
if how == "dies_at_once":
    sys.exit("no model here")
held, owed = "", False
for line in sys.stdin:
    if owed:
        owed = False
        continue
    told = held + line.upper()
    held = ""
    if "bad" in line:
        match how:
            case "drops":
                continue
            case "merges":
                held = told.rstrip("\n") + " "
                continue
            case "splits":
                told = told.replace(" ", "\n", 1)
            case "swaps":  # one too many here, one too few at the next: the count is right
                told += told
                owed = True
            case "dies":
                sys.exit("I cannot read this")
            case "killed":
                os.kill(os.getpid(), 9)
            case "hangs":
                time.sleep(600)
            case "garbles":
                sys.stdout.flush()
                sys.stdout.buffer.write(b"\xff\xfe\n")
                sys.stdout.flush()
                continue
            case "babbles":
                told = "x" * 200_000 + "\n"
            case "floods":
                told = "x\n" * 5000
            case "counts":
                told = "7 " + told
    if how == "loud":
        sys.stderr.write("noise " * 20_000)
    if how == "numbers_in_words":
        told = told.replace("4", "four ")
    if how == "environment":
        told = ",".join(sorted(os.environ)) + "\n" if "who" in line else told
    if how == "numbered":
        told = f"{os.getpid()} {told}" if not line.strip(".\n").isdecimal() else told
    sys.stdout.write(told)
    sys.stdout.flush()
