"""The figures of tables.py on little work: all of it runs, and the tables say what was measured."""

import numpy as np
import pytest

import tables
from chainrule.tables import TableEncoder


def test_the_made_table_has_columns_of_every_kind():
    table, y = tables.made_table(3000, 50)
    kinds = [column.kind for column in TableEncoder().fit(table).columns]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        "number": 36,
        "category": 10,
        "boolean": 2,
        "datetime": 2,
    }
    assert np.isfinite(y).all()
    again, _ = tables.made_table(3000, 50)
    assert again.equals(table)


@pytest.mark.slow
def test_everything_is_measured_and_stands_in_the_tables():
    results = tables.measured(short=True)
    text = tables.tables(results)
    for one in results["encoder"]:
        assert 0 < one["encoder"] < one["fit"]
        assert f"| {one['preset']} | 500 | " in text
    assert [one["rows"] for one in results["growth"]] == [100, 300]
    (limit,) = results["limits"]
    assert limit["by"] == "time"
    assert f"| 0.1 | {limit['took']:.2f} | {limit['members']} |" in text
