import json
import string

import pytest

from pipeline_assets.ml.reasons import SENTENCES, Reason


@pytest.mark.parametrize("code", SENTENCES)
def test_each_sentence_is_made_of_its_values(code: str) -> None:
    fields = [(name, spec) for _, name, spec, _ in string.Formatter().parse(SENTENCES[code]) if name]
    values = {name: 0.5 if spec else 7 for name, spec in fields}
    assert "{" not in Reason(code, **values).sentence


def test_a_reason_may_hold_another() -> None:
    reason = Reason("champion_unfit", winner=2, previous=1, why_not=Reason("unfinished"))
    assert reason.sentence.endswith("version 1, cannot predict (its training did not finish)")
    assert json.loads(json.dumps(reason.to_json())) == {
        "code": "champion_unfit",
        "values": {"winner": 2, "previous": 1, "why_not": {"code": "unfinished", "values": {}}},
    }
