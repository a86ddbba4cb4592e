"""The official KiteTicker, connected so that the server must prove who it is, and tried again without end."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import urlsplit

import certifi
from autobahn.twisted.websocket import connectWS
from kiteconnect import KiteTicker
from twisted.internet import ssl

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5
"""Seconds between attempts to connect; they grow from the one to the other."""

HANDSHAKE = 5
"""Seconds that a connection may take to come about."""

# What it says of a connection that ends is told by `stream`, once and in words.
_TOLD = ("Connection ", "Retrying ")
logging.getLogger("kiteconnect.ticker").addFilter(lambda record: not str(record.msg).startswith(_TOLD))

_END = b"-----END CERTIFICATE-----\n"


class Ticker(KiteTicker):  # type: ignore[misc]
    """Without `on_ticks` frames are not parsed, and `on_message` has them as they came.

    `connect` is KiteTicker's but for three things: the server's certificate is verified, which the client of the
    broker leaves out; the loop's thread is not its own; it never gives up. Call it in the loop's thread.
    """

    def __init__(self, api_key: str, access_token: str, root: str) -> None:
        super().__init__(api_key, access_token, root=root, reconnect_max_delay=LONGEST_PAUSE, connect_timeout=HANDSHAKE)
        self.connector: Any = None

    def connect(self, *args: Any, **kwargs: Any) -> None:
        self._create_connection(self.socket_url, useragent=self._user_agent(), headers={"X-Kite-Version": "3"})
        self.factory.maxRetries = None
        self.factory.delay = self.factory.initialDelay = FIRST_PAUSE
        context = verified(urlsplit(self.root).hostname or "") if self.factory.isSecure else None
        self.connector = connectWS(self.factory, contextFactory=context, timeout=self.connect_timeout)

    def abort(self) -> None:
        """Drop the connection at once; the next attempt follows by itself."""
        if self.ws is not None:
            self.ws.dropConnection(abort=True)

    def end(self) -> None:
        """Close for good."""
        if self.connector is None:
            return
        self.stop_retry()
        if self.is_connected():
            self._close(1000, "")
        else:
            self.connector.disconnect()


def verified(host: str) -> Any:
    """What a client needs to insist on a certificate for that host from one of the usual authorities."""
    with open(certifi.where(), "rb") as file:
        parts = file.read().split(_END)
    authorities = [ssl.Certificate.loadPEM(part + _END) for part in parts if b"BEGIN CERTIFICATE" in part]
    return ssl.optionsForClientTLS(host, trustRoot=ssl.trustRootFromCertificates(authorities))
