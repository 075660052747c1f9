from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline_assets.engine.duckdb.key_spill import key_spill

# Few of them, spread over every part.
hashes = st.integers(0, 40).map(lambda number: number * 0x0633_9C2D_17A5_7B31 % 2**64)


@given(st.lists(st.lists(hashes, max_size=20), max_size=4))
def test_repeated_are_just_the_hashes_that_came_twice(chunks: list[list[int]]) -> None:
    every = [number for chunk in chunks for number in chunk]
    with TemporaryDirectory() as folder, key_spill(Path(folder)) as keys:
        for chunk in chunks:
            keys.add(np.array(chunk, dtype=np.uint64))
        found = keys.repeated().tolist()
    assert found == sorted({number for number in every if every.count(number) > 1})


def test_what_outgrows_memory_is_found_as_well_and_leaves_nothing(tmp_path: Path) -> None:
    count = 3_000_000
    random = np.random.default_rng(0).permutation(np.arange(count, dtype=np.uint64)) << np.uint64(40)
    with key_spill(tmp_path) as keys:
        for chunk in np.array_split(random, 7):
            keys.add(chunk)
        keys.add(random[[5, count - 1]])
        assert keys.repeated().tolist() == sorted(random[[5, count - 1]].tolist())
    assert not list(tmp_path.iterdir())
