"""The description is true: every path in it is there, every answer is of the form that it says, and of no other."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import jsonschema
import pytest
import requests
import schemathesis
from g6_web.routes import API, CORE, ROUTES
from hypothesis import HealthCheck, given, settings
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from g6core import Alert
from g6core.status import NAME
from g6core.testing import START, snapshot, snapshots

from .conftest import Site, opening, recorded, served_context

STATUS = """{"v": 1, "pid": 1, "state": "recording", "interval": 15.0, "simulated": false, "plugins": ["sim"],
"sinks": {}, "last_cycle": {"ts": "2026-08-17T04:00:00+00:00", "odd": NaN}}"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """With recorded minutes, an alert, and a recorder that holds the directory."""
    from g6core.lock import DirectoryLock

    place = tmp_path_factory.mktemp("site")
    recorded(
        place,
        [*snapshots(5, strikes=5), snapshot("BANKNIFTY", strikes=5)],
        [Alert("pcr", "NIFTY", START, "PCR 1.6", labels={"a": "b"}), Alert("disk", "", START + timedelta(1), "low")],
    )
    lock = DirectoryLock(place)
    lock.acquire()
    (place / NAME).write_text(STATUS)
    with opening() as start:
        yield start(served_context(place), streams=1000)
    lock.release()


@pytest.fixture(scope="module")
def description(site: Site) -> Any:
    return site.api("openapi.json").json


def test_it_is_of_openapi_3_1(description: Any) -> None:
    assert description["openapi"].startswith("3.1")
    for schema in description["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_it_describes_all_paths_and_no_other(description: Any) -> None:
    assert set(description["paths"]) == {API + route.path for route in ROUTES} | set(CORE)
    names = [path["get"]["operationId"] for path in description["paths"].values()]
    assert len(set(names)) == len(names)


def test_the_core_s_own_pages_are_all_in_it(site: Site, description: Any) -> None:
    from g6core import Http

    http = site.sink._api._http  # type: ignore[union-attr]
    assert isinstance(http, Http)
    assert set(http.paths) == set(CORE)


EXAMPLES = [
    "status", "indices", "snapshot/NIFTY", "chain/NIFTY", "chain/NIFTY?expiry=next_week&around=1",
    "history/NIFTY/spot", "history/NIFTY/quoted?expiry=this_week", "history/NIFTY/code",
    "history/NIFTY/expires_at", "history/NIFTY/spot?date=2026-08-17&every=2m",
    "alerts", "plugins", "journal", "openapi.json", "snapshot/X", "chain/NIFTY?around=x",
]  # fmt: skip


@pytest.mark.parametrize("path", EXAMPLES)
def test_an_answer_is_of_the_form_that_it_says(site: Site, description: Any, path: str) -> None:
    answer = site.api(path)
    asked = f"{API}/{path.partition('?')[0]}"
    template = next(t for t in description["paths"] if re.fullmatch(re.sub(r"\{\w+\}", r"[^/]+", t), asked))
    (content,) = [
        found
        for kind, found in description["paths"][template]["get"]["responses"][str(answer.status)]["content"].items()
        if kind == answer.headers["content-type"]
    ]
    form = {**content["schema"], "components": description["components"]}
    jsonschema.validate(answer.json, form, jsonschema.Draft202012Validator)


def test_every_json_answer_says_how_fresh_it_is(site: Site) -> None:
    for path in EXAMPLES:
        found = site.api(path)
        if found.status == 200 and path != "openapi.json":
            assert {"v", "ts", "age", "simulated"} <= set(found.json), path


def never_fails(context: Any, response: Any, case: Any) -> None:
    """503 is an answer: that it cannot be told at the moment."""
    assert response.status_code < 500 or response.status_code == 503


CHECKS = [
    never_fails,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def unending(path: str) -> bool:
    return path == f"{API}/stream"


@pytest.mark.parametrize("mode", GenerationMode)
def test_no_question_brings_it_out_of_form(site: Site, description: Any, mode: GenerationMode) -> None:
    """Made-up questions over a real socket, right ones and wrong ones, for each path."""
    schema = schemathesis.openapi.from_dict(description)
    schema.config.update(base_url=f"http://127.0.0.1:{site.port}")
    session = requests.Session()
    asked: Counter[str] = Counter()
    for found in schema.get_all_operations():
        operation = found.ok()
        if unending(operation.path) or (mode == GenerationMode.NEGATIVE and "{" not in operation.path):
            continue

        @settings(max_examples=6, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: Any) -> None:
            answer = case.call_and_validate(session=session, checks=CHECKS)
            asked[case.operation.path] += 1
            assert mode == GenerationMode.POSITIVE or answer.status_code in (400, 404)

        ask()
    paths = {path for path in description["paths"] if not unending(path)}
    assert set(asked) == {path for path in paths if mode == GenerationMode.POSITIVE or "{" in path}
