"""Routes: paths follow from actions, and a query says exactly what the request said."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from muniment.wire import routes
from muniment.wire.data import AddDataset, SplitDataset
from muniment.wire.execution import CompareRuns, RunScript
from muniment.wire.ledger import SearchEntries

TEXT = st.text(max_size=30)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize(
    ("action", "project", "path"),
    [
        ("data:AddDataset", "main", "/v1/projects/main/data:addDataset"),
        ("identity:ListUsers", None, "/v1/identity:listUsers"),
        ("data:ListDatasets", "a/../b c", "/v1/projects/a%2F..%2Fb%20c/data:listDatasets"),
    ],
)
def test_the_path_follows_from_the_action(action: str, project: str | None, path: str) -> None:
    """The path names the action in lower camel case, and a project can never leave its segment."""
    assert routes.path(action, project) == path


def test_reading_verbs_are_known_by_their_first_word() -> None:
    """A verb whose phrase begins with a reading word is asked by GET; all others change something."""
    assert routes.reads("data:ListDatasets")
    assert not routes.reads("data:AddDataset")


@given(
    request=st.builds(
        RunScript, project=TEXT, entry=TEXT, inputs=st.dictionaries(TEXT, TEXT), params=st.dictionaries(TEXT, JSON)
    )
    | st.builds(AddDataset, project=TEXT, name=TEXT, filename=TEXT, target=TEXT, purposes=st.lists(TEXT))
    | st.builds(SplitDataset, project=TEXT, dataset=TEXT, seed=st.integers(0, 2**31), stratify=st.none() | TEXT)
    | st.builds(CompareRuns, project=TEXT, runs=st.lists(TEXT, max_size=4))
    | st.builds(SearchEntries, project=st.none() | TEXT, limit=st.integers(0, 2**31))
)
def test_a_query_says_what_the_request_said(request: msgspec.Struct) -> None:
    """Any request survives the trip through a URL's query unchanged."""
    url = "http://x/?" + urlencode(routes.parameters(request))
    query = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
    project = routes.project_of(request)
    assert routes.from_parameters(type(request), query, project) == request


def test_a_query_that_does_not_fit_is_refused() -> None:
    """Text where JSON is expected, and a field that the request does not have, are validation errors."""
    for query in ({"seed": "seven"}, {"nonsense": "1"}, {"seed": "1.5"}):
        with pytest.raises(msgspec.ValidationError):
            routes.from_parameters(SplitDataset, {"dataset": "credit", **query}, "main")
