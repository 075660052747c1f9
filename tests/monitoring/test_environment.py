"""Tests of the environment: what is other is said in a sentence, and what does not matter is not said."""

from dataclasses import replace
from importlib.metadata import version

from pipeline_assets.monitoring.environment import Environment, differences, here


def test_this_process_says_what_it_runs_on() -> None:
    found = here()

    assert found.packages["pyarrow"] == version("pyarrow")
    assert found.packages["scikit-learn"] == version("scikit-learn")
    assert found.system.startswith("Linux")
    assert found.cores is not None
    assert found.cores > 0
    assert Environment.from_json(found.to_json()) == found
    assert differences(found, found) == {}


def test_what_is_other_is_said_and_cores_are_not() -> None:
    there = replace(here(), cpu_flags=("avx", "avx512f"), code_commit="abc", packages={"numpy": "1.0", "scipy": "1.1"})
    now = replace(
        there, cpu_flags=("avx", "neon"), cores=77, packages={"numpy": "2.0", "scipy": "1.1"}, code_commit="d"
    )

    assert differences(there, now) == {
        "cpu_flags": "other CPU flags here: without avx512f and with neon",
        "packages": "other packages here: numpy 2.0 (at training 1.0)",
        "code_commit": "code commit d here, abc at training",
    }
    unknown = replace(there, cpu_flags=(), processor="A")
    assert differences(unknown, replace(unknown, processor="B")) == {"cpu_flags": "processor B here, A at training"}
