"""The OpenAPI 3.1 document, made of the table of routes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from g6_web.asked import Param
from g6_web.routes import API, CORE, ROUTES, Route
from g6_web.schemas import SCHEMAS
from g6core import __version__

TEXT = {"type": "string"}
PATTERNS = {"index": r"^[A-Za-z0-9]{1,30}$", "fact": r"^[A-Za-z0-9_]{1,60}$"}
REFUSED: Mapping[str, str] = {
    "400": "a parameter or a path that cannot be understood",
    "401": "the token is missing or wrong",
    "405": "nothing but GET and HEAD is answered",
    "413": "the request has a body",
    "414": "the address is too long",
    "421": "the port was asked under a name that is not this machine's",
    "431": "the head of the request is too long",
    "503": "it cannot be told at the moment",
}
"""What any request may come to."""


def document() -> dict[str, Any]:
    paths = {API + route.path: {"get": _operation(route)} for route in ROUTES}
    return {
        "openapi": "3.1.0",
        "info": {"title": "G6", "version": __version__, "description": "Recorded option chains of Indian indices."},
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}, {"query": []}, {}],
        "paths": {**paths, **{path: {"get": _core(path, help)} for path, help in CORE.items()}},
        "components": {
            "schemas": dict(SCHEMAS),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "query": {"type": "apiKey", "in": "query", "name": "token"},
            },
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    names = re.findall(r"\{(\w+)\}", route.path)
    answers = {"200": {"description": route.help, "content": _content(route)}, **_refused()}
    if route.etag:
        answers["200"]["headers"] = {"ETag": {"schema": TEXT}}
        answers["304"] = {"description": "the snapshot is the one of If-None-Match"}
    if route.missing:
        answers["404"] = _problem(route.missing)
    return {
        "operationId": route.name,
        "summary": route.help,
        "parameters": [*(_in_path(name) for name in names), *(_in_query(param) for param in route.params)],
        "responses": dict(sorted(answers.items())),
    }


def _content(route: Route) -> dict[str, Any]:
    if route.name == "stream":
        return {"text/event-stream": {"schema": TEXT}}
    schema = {"$ref": f"#/components/schemas/{route.schema}"} if route.schema else {"type": "object"}
    return {"application/json": {"schema": schema}, **({"text/csv": {"schema": TEXT}} if route.csv else {})}


def _in_path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {**TEXT, "pattern": PATTERNS[name]}}


def _in_query(param: Param) -> dict[str, Any]:
    return {"name": param.name, "in": "query", "required": False, "description": param.help, "schema": param.schema}


def _core(path: str, help: str) -> dict[str, Any]:
    health = {"$ref": "#/components/schemas/Health"}
    content = {"application/json": {"schema": health}} if path == "/healthz" else {"text/plain": {"schema": TEXT}}
    # A 503 of these is the answer itself, or a refusal.
    either = {**content, "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    answers = {
        "200": {"description": help, "content": content},
        **_refused(),
        "503": {"description": help, "content": either},
    }
    return {"operationId": path.strip("/"), "summary": help, "parameters": [], "responses": answers}


def _refused() -> dict[str, Any]:
    return {status: _problem(help) for status, help in REFUSED.items()}


def _problem(help: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": help, "content": {"application/problem+json": {"schema": schema}}}
