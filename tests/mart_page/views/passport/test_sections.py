from pathlib import Path

import pytest

from pipeline_assets.mart_page.language import LANGUAGES, Texts
from pipeline_assets.mart_page.views.passport.sections import verdict
from tests.mart_page.views.passport.test_raw_row import look, whole


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_repeated_key_is_what_such_a_row_breaks(tmp_path: Path, language: str) -> None:
    says = Texts(language)("passport")
    files, _ = whole(tmp_path)
    for row, key in ((150, "rules_but_key"), (8, "rules_kept")):
        html = str(verdict(says, look(tmp_path, files, row)))
        assert [each for each in ("rules_but_key", "rules_kept") if says(each) in html] == [key]
    assert says("rules_broken", n=1) in str(verdict(says, look(tmp_path, files, 7)))
