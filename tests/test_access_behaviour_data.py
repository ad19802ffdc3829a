"""The public table is read as it is documented: by true direction, without copies, without the label in disguise."""

from importlib import resources

import numpy as np
import pytest

from featurizer.features import ACCESS_BEHAVIOUR_V1
from scorer.access_behaviour import NINE_COLUMNS, OUR_COLUMNS, Rows, Table, read_table
from scorer.examples import groups_of

DATA = resources.files("scorer").joinpath("data")
NAMES = ACCESS_BEHAVIOUR_V1.names
HEADER = ["_id", "ip_type", "is_anomaly", "num_unique_apis", *NINE_COLUMNS]


@pytest.fixture(scope="module")
def table() -> Table:
    return read_table(DATA.joinpath("access_behaviour.csv").read_bytes())


def rows_of(*rows: dict[str, object]) -> bytes:
    """A table with these rows; columns that a row does not name are 1."""
    plain = dict.fromkeys(HEADER, 1) | {"ip_type": "default", "is_anomaly": 0}
    lines = [",".join(HEADER), *(",".join(str((plain | row)[name]) for name in HEADER) for row in rows)]
    return "\n".join(lines).encode()


def test_the_shipped_table_is_whole(table: Table) -> None:
    assert len(table.ids) == 1695
    assert int(table.anomalous.sum()) == 589
    assert int(table.datacenter.sum()) == 153


def test_one_row_an_id_is_kept(table: Table) -> None:
    once = table.without_copies()
    assert len(once.ids) == len(set(once.ids)) == len(set(table.ids)) == 1674
    assert len(once.select(Rows.DEFAULT).ids) == 1527
    assert int(once.select(Rows.DEFAULT).anomalous.sum()) == 421


def test_edges_that_were_counted_once_a_copy_are_counted_once(table: Table) -> None:
    """A graph of N nodes has at most N² distinct edges; as derived, one of the copied rows has more."""
    possible = table.columns["num_unique_apis"] ** 2
    assert (table.columns["n_connections"] > possible).any()

    once = table.without_copies()
    assert (once.columns["n_connections"] <= once.columns["num_unique_apis"] ** 2).all()
    assert (once.columns["n_connections"] % 1 == 0).all()
    single = {name for name in table.ids if table.ids.count(name) == 1}
    kept = [name in single for name in once.ids]
    before = dict(zip(table.ids, table.columns["n_connections"], strict=True))
    assert all(
        before[name] == edges
        for name, edges, own in zip(once.ids, once.columns["n_connections"], kept, strict=True)
        if own
    )


def test_columns_are_mapped_by_true_direction() -> None:
    """What the table calls source is the destination."""
    data = rows_of(
        {
            "avg_global_source_degrees": 11,
            "min_global_source_degrees": 12,
            "max_global_source_degrees": 13,
            "avg_global_dest_degrees": 21,
            "min_global_dest_degrees": 22,
            "max_global_dest_degrees": 23,
            "n_connections": 30,
            "num_unique_apis": 8,
        }
    )
    features = dict(zip(NAMES, read_table(data).features()[0], strict=True))

    assert features["avg_by_max_dest_degrees"] == 11 / 13
    assert features["min_by_max_dest_degrees"] == 12 / 13
    assert features["avg_by_max_source_degrees"] == 21 / 23
    assert features["min_by_avg_source_degrees"] == 22 / 21
    assert features["max_source_by_max_dest_degrees"] == 23 / 13
    assert features["max_dest_share"] == 13 / 30
    assert (features["n_connections"], features["n_apis"]) == (30, 8)
    assert (features["edges_per_api"], features["density"]) == (30 / 8, 30 / 64)


def test_shares_are_of_the_edges_of_all_rows_whichever_are_selected(table: Table) -> None:
    """The degrees were counted over all of them."""
    once = table.without_copies()
    edges = once.columns["n_connections"].sum()
    some = once.select(Rows.DEFAULT)
    assert once.total_edges == some.total_edges == edges > some.columns["n_connections"].sum()
    share = some.features()[:, NAMES.index("max_dest_share")]
    np.testing.assert_array_equal(share, some.columns["max_global_source_degrees"] / edges)


def test_only_spreads_are_missing_and_only_of_one_edge(table: Table) -> None:
    once = table.without_copies()
    missing = np.isnan(once.features())
    spread = np.array([name.startswith("std_") for name in NAMES])
    assert not missing[:, ~spread].any()
    assert (missing[:, spread] == (once.columns["n_connections"] == 1)[:, None]).all()


def test_every_feature_of_the_schema_has_an_origin() -> None:
    assert set(OUR_COLUMNS) == set(NAMES)


@pytest.mark.parametrize(
    "leak",
    [
        "num_users",
        "num_sessions",
        "api_access_uniqueness",
        "inter_api_access_duration",
        "vsession_duration",
        "sequence_length",
        "classification",
    ],
)
def test_no_column_holds_the_label_in_disguise(leak: str) -> None:
    header = DATA.joinpath("access_behaviour.csv").read_text().partition("\n")[0]
    assert leak not in header


def test_datacenter_rows_are_outliers_by_rule(table: Table) -> None:
    """The reason to leave them out: the address type decides their label, whatever they did."""
    assert table.anomalous[table.datacenter].all()


def test_equal_rows_are_one_group_and_others_are_not(table: Table) -> None:
    examples = table.without_copies().examples()
    plain = np.nan_to_num(examples.features, nan=-1.0)
    groups: dict[int, bytes] = {}
    for group, row in zip(examples.groups, plain, strict=True):
        assert groups.setdefault(int(group), row.tobytes()) == row.tobytes()
    assert len(set(groups.values())) == len(groups) < len(examples)


def test_no_equal_rows_have_different_labels(table: Table) -> None:
    examples = table.without_copies().examples()
    labels: dict[int, bool] = {}
    for group, label in zip(examples.groups, examples.anomalous, strict=True):
        assert labels.setdefault(int(group), bool(label)) == label


def test_missing_values_do_not_keep_equal_rows_apart() -> None:
    features = np.array([[1.0, np.nan], [1.0, np.nan], [1.0, 0.0]])
    groups = groups_of(features)
    assert groups[0] == groups[1] != groups[2]


def test_normal_sessions_are_long_and_outliers_short(table: Table) -> None:
    """What the model card warns of."""
    edges = table.columns["n_connections"]
    assert np.median(edges[~table.anomalous]) == 195
    assert np.median(edges[table.anomalous]) == 14
    once = table.without_copies()
    assert np.median(once.columns["n_connections"][once.anomalous]) == 13


def test_a_session_of_one_edge_has_no_spread(table: Table) -> None:
    single = table.columns["n_connections"] == 1
    assert single.any()
    assert (np.isnan(table.columns["std_global_source_degrees"]) == single).all()


def test_a_table_without_a_column_is_refused() -> None:
    with pytest.raises(ValueError, match="num_unique_apis"):
        read_table(rows_of({}).replace(b"num_unique_apis", b"apis"))


def test_a_label_other_than_0_and_1_is_refused() -> None:
    with pytest.raises(ValueError, match="'maybe'"):
        read_table(rows_of({"is_anomaly": "maybe"}))


def test_the_licence_and_the_defects_lie_beside_the_data() -> None:
    assert "GNU GENERAL PUBLIC LICENSE" in DATA.joinpath("LICENSE.GPL-2.0").read_text()
    readme = DATA.joinpath("README.md").read_text()
    for fact in ("tangodelta", "GPL", "API Security: Anomaly Detection App", "swapped", "four times"):
        assert fact in readme
