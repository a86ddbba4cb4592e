from __future__ import annotations

from typing import Any

import pytest
from g6_redis.settings import Settings
from pydantic import ValidationError


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1:6379/0",
        "rediss://cache.example.org:6380/3",
        "redis://[::1]:6379/0",
        "redis://redis/0",
        "rediss://cache.example.org/0?ssl_ca_certs=/etc/ssl/ca.pem",
    ],
)
def test_addresses(url: str) -> None:
    assert Settings(url=url).url == url


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"url": "redis://:a-secret-word@127.0.0.1:6379/0"}, "has no place in `url`"),
        ({"url": "redis://:p@a-secret-word/@127.0.0.1:6379/0"}, "no address|has no place"),
        ({"url": "redis://somebody@127.0.0.1:6379/0"}, "set `username`"),
        ({"url": "redis://127.0.0.1:6379/0?password=a-secret-word"}, "has no place in `url`"),
        ({"url": "redis://127.0.0.1:6379/0?socket_timeout=60"}, "`socket_timeout` has no place"),
        ({"url": "127.0.0.1:6379"}, "no address"),
        ({"url": "http://127.0.0.1:6379/0"}, "no address"),
        ({"url": "redis:///0"}, "no address"),
        ({"url": "redis://127.0.0.1:port/0"}, "no address"),
        ({"url": "redis://127.0.0.1:6379/zero"}, "no address"),
        ({"url": "redis://127.0.0.1:6379"}, "no address"),
        ({"prefix": ""}, "pattern"),
        ({"prefix": "a b"}, "pattern"),
        ({"ttl": "10ms"}, "greater than or equal"),
        ({"timeout": "0s"}, "greater than or equal"),
        ({"host": "127.0.0.1"}, "Extra inputs"),
    ],
)
def test_settings_that_make_no_sense_are_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says) as caught:
        Settings(**given)
    assert all("a-secret-word" not in error["msg"] for error in caught.value.errors())
    assert "a-secret-word" not in str(caught.value)


def test_the_password_is_shown_nowhere() -> None:
    settings = Settings(password="a-secret-word")
    assert "a-secret-word" not in f"{settings!r} {settings} {settings.model_dump_json()}"
    assert Settings.model_json_schema()["properties"]["password"]["env"] == "REDIS_PASSWORD"
