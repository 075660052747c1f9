import subprocess
import sys

import pytest

PROGRAM = """
import atexit, sys, threading, time
from pipeline_assets.cli.ending import ending_at_once

class Left:
    def __del__(self):
        print("taken apart")

with ending_at_once():
    left = Left()
    left.itself = left
    atexit.register(print, "exit function")
    threading.Thread(target=lambda: print("thread")).start()
    print("printed", end=" ")
    {end}
"""


def ended(end: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(end=end)], capture_output=True, text=True, check=False, timeout=60
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(("end", "code"), [("sys.exit()", 0), ("sys.exit(0)", 0), ("sys.exit(2)", 2)])
def test_a_program_ends_with_its_code_after_threads_and_exit_functions(end: str, code: int) -> None:
    found, out, err = ended(end)
    assert (found, err) == (code, "")
    assert all(text in out for text in ("printed", "thread", "exit function"))
    assert "taken apart" not in out


@pytest.mark.parametrize(("end", "code", "said"), [("sys.exit('no')", 1, "no"), ("1 / 0", 1, "ZeroDivisionError")])
def test_other_ends_are_as_ever(end: str, code: int, said: str) -> None:
    found, out, err = ended(end)
    assert (found, "taken apart" in out) == (code, True)
    assert said in err


@pytest.mark.parametrize(("words", "code"), [(["--help"], 0), (["no-verb"], 2), (["run", "t", "train"], 2)])
def test_the_program_ends_with_the_code_of_its_command(words: list[str], code: int) -> None:
    done = subprocess.run([sys.executable, "-m", "pipeline_assets.cli", *words], capture_output=True, check=False)
    assert done.returncode == code
