import gc
import subprocess
import sys

from pipeline_assets.collector import collecting_later


def test_python_ends_without_looking_through_what_is_left() -> None:
    script = """
import gc
from pipeline_assets.collector import collect_rarely
before = gc.get_threshold()[0]
collect_rarely()
collect_rarely()
assert gc.get_threshold()[0] > before and gc.isenabled()

class Left:
    def __del__(self):
        print("collected")

left = Left()
left.itself = left
del left
gc.collect()  # while the command runs, garbage is still found

kept = Left()
kept.itself = kept
del kept
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.count("collected") == 1


def test_the_collector_waits_for_the_end_of_a_block_and_stays_off_where_it_was() -> None:
    with collecting_later():
        assert not gc.isenabled()
        with collecting_later():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
