"""docs/models.md: every session on the page runs and prints what the page says."""

import doctest
import re
import warnings
from pathlib import Path

PAGE = (Path(__file__).parents[1] / "docs" / "models.md").read_text()


def test_every_session_prints_what_the_page_says():
    blocks = [b for b in re.findall(r"```python\n(.*?)```", PAGE, re.S) if b.startswith(">>>")]
    assert len(blocks) >= 11
    # Names that Keras numbers depend on what was built before in this process, and a page shows none.
    test = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, "models.md", "models.md", 0)
    runner = doctest.DocTestRunner()
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "`build\\(\\)` was called on layer|Layer '.*' looks like it has unbuilt state"
        )
        runner.run(test, out=(report := []).append)
    assert runner.failures == 0, "".join(report)
