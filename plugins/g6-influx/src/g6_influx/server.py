"""Requests to the server: each comes to an end, and none is tried again here.

The official client makes them: address, token, compression, TLS. Redirects are not followed, so that the token goes
nowhere else.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import urllib3
from influxdb_client import InfluxDBClient
from influxdb_client.rest import ApiException
from influxdb_client.service.ping_service import PingService
from influxdb_client.service.write_service import WriteService

from g6_influx import answers
from g6_influx.deadline import Deadline
from g6_influx.measures import BYTES, REQUESTS, SECONDS
from g6_influx.settings import Settings
from g6core import Unavailable, hide

_STARTED = re.compile(r"^(?:process_start_time_seconds|vm_app_start_timestamp)(?:\{[^}]*\})? (\S+)", re.MULTILINE)


class Server:
    """A connection that is made when first used, by one thread.

    Every method raises Unavailable when the server does not answer in time, or asked for a pause that is not over.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        token = settings.token.get_secret_value() if settings.token else None
        if token:
            hide(token)
        seconds = settings.timeout.total_seconds()
        self._client = InfluxDBClient(
            settings.url, token, timeout=round(seconds * 1000), enable_gzip=settings.gzip, retries=False
        )
        self._api = self._client.api_client
        self._writes = WriteService(self._api)
        pools = self._api.rest_client.pool_manager
        self._deadline = Deadline(pools.connection_from_url(settings.url), seconds)
        self._silent_until = 0.0

    def post(self, body: bytes) -> None:
        """Write lines, their times in microseconds. Returns when the server has taken them all.

        Raises Rejected for lines that it refuses for good, TooLarge for a body that is too long for it.
        """
        org, bucket = self._settings.org or "", self._settings.bucket
        try:
            with SECONDS.time():
                self._call(
                    lambda: self._writes.post_write(org, bucket, body, precision="us", content_type="text/plain")
                )
        except ApiException as e:
            REQUESTS.labels(e.status or "none").inc()
            raise answers.refusal(e, self._settings) from e
        except Unavailable:
            REQUESTS.labels("none").inc()
            raise
        answer = self._api.last_response
        REQUESTS.labels(answer.status).inc()
        if answer.data.strip():
            raise answers.no_influx(answer.status, self._settings)
        if not answer.getheaders():
            # Every server sends a date at least: this answer was broken off, and may be a part of a longer one.
            raise answers.silence(ConnectionError("its answer broke off"), self._settings)
        BYTES.inc(len(body))

    def started(self) -> tuple[str, ...] | None:
        """When the server says that it was started, in its own words; nothing where it does not tell.

        None when it might tell in a while.
        """
        try:
            text = self._call(lambda: self._get("/metrics", response_type="str"))
        except ApiException as e:
            return None if answers.transient(e) else ()
        return tuple(_STARTED.findall(str(text)))

    def ping(self) -> None:
        """Returns when the server answers."""
        try:
            self._call(PingService(self._api).get_ping)
        except ApiException as e:
            raise answers.refusal(e, self._settings) from e

    def has_bucket(self) -> bool | None:
        """Whether the token sees the bucket; None when the server knows nothing of buckets.

        Raises Unavailable for a token or organization that the server does not know.
        """
        query = [("name", self._settings.bucket), *([("org", self._settings.org)] if self._settings.org else [])]
        try:
            found = self._call(lambda: self._get("/api/v2/buckets", query_params=query, response_type="object"))
        except ApiException as e:
            if answers.transient(e) or e.status in (401, 403) or answers.is_not_found(e):
                raise answers.refusal(e, self._settings) from e
            return None
        return bool(found.get("buckets")) if isinstance(found, dict) else None

    def close(self) -> None:
        self._client.close()

    def _get(self, path: str, **asked: Any) -> Any:
        return self._api.call_api(path, "GET", auth_settings=[], _return_http_data_only=True, **asked)

    def _call(self, ask: Callable[[], Any]) -> Any:
        """The answer. Raises ApiException for one that is no success, Unavailable when there is none."""
        if (left := self._silent_until - time.monotonic()) > 0:
            raise Unavailable(f"{self._settings.url} asked for a pause; {left:.0f} s of it are left")
        try:
            with self._deadline:
                return ask()
        except ApiException as e:
            self._silent_until = time.monotonic() + answers.pause(e)
            raise
        except UnicodeDecodeError as e:
            raise answers.no_influx(None, self._settings) from e
        except (urllib3.exceptions.HTTPError, OSError) as e:
            raise answers.silence(e, self._settings) from e
