from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline_assets.stores.key_spill import key_spill


@given(st.lists(st.lists(st.integers(0, 40), max_size=20), max_size=4))
def test_suspects_are_just_the_rows_whose_hash_came_twice(chunks: list[list[int]]) -> None:
    every = [number for chunk in chunks for number in chunk]
    with TemporaryDirectory() as folder, key_spill(Path(folder)) as keys:
        start = 0
        for chunk in chunks:
            keys.add(np.array(chunk, dtype=np.uint64), np.arange(start, start + len(chunk), dtype=np.int64))
            start += len(chunk)
        found = keys.suspects().tolist()
    assert found == [row for row, number in enumerate(every) if every.count(number) > 1]
