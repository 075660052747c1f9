import gc
import subprocess
import sys

from pipeline_assets.collector import collecting_later


def test_a_command_collects_rarely_and_still_finds_garbage() -> None:
    script = """
import gc
from pipeline_assets.collector import collect_rarely
before = gc.get_threshold()[0]
collect_rarely()
assert gc.get_threshold()[0] > before and gc.isenabled()
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_collector_waits_for_the_end_of_a_block_and_stays_off_where_it_was() -> None:
    with collecting_later():
        assert not gc.isenabled()
        with collecting_later():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
