from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from g6_replay.provider import Replay
from g6_replay.settings import Settings

from g6core.journal import Journal
from g6core.testing import ProviderContract, snapshots

CHAIN = """ts,index,expiry,strike,right,spot,last_price,bid,ask,volume,oi
2026-08-18 09:15,NIFTY,2026-08-25,24200,CE,24212.8,101.5,101.45,101.6,6500,13000
2026-08-18 09:15,NIFTY,2026-08-25,24200,PE,24212.8,88,0,88.2,0,6500
2026-08-18 09:15,NIFTY,2026-09-01,24250,CE,24212.8,,,,,
2026-08-18 09:15,NIFTY,2026-09-01,24250,PE,24212.8,190.05,190,190.2,65,65
2026-08-18 09:16,NIFTY,2026-09-01,24300,PE,24213.8,0.05,,0.1,65,65
"""


class TestCsvReplay(ProviderContract):
    @pytest.fixture
    def build(self, tmp_path: Path) -> Callable[[], Replay]:
        path = tmp_path / "chain.csv"
        path.write_text(CHAIN)
        return lambda: Replay(Settings(path=path))


class TestJournalReplay(ProviderContract):
    @pytest.fixture
    def build(self, tmp_path: Path) -> Callable[[], Replay]:
        journal = Journal(tmp_path / "recorded", [])
        encoded = [journal.encode(s) for s in snapshots(3)]
        path = encoded[0].path
        journal.append(path, encoded)
        journal.close()
        return lambda: Replay(Settings(path=path))


class TestNseReplay(ProviderContract):
    @pytest.fixture
    def build(self, tmp_path: Path) -> Callable[[], Replay]:
        call = {"underlying": "NIFTY", "lastPrice": 10.5, "bidprice": 0, "askPrice": 10.6, "openInterest": 3}
        put = {"underlying": "NIFTY", "lastPrice": 0, "bidprice": 0, "askPrice": 0, "openInterest": 0}
        entries = [
            {"strikePrice": strike, "expiryDate": "25-Aug-2026", "CE": {**call, "strikePrice": strike}, "PE": put}
            for strike in (24200, 24250)
        ]
        for entry in entries:
            entry["PE"] = {**put, "strikePrice": entry["strikePrice"]}
        records = {"timestamp": "18-Aug-2026 09:15:00", "underlyingValue": 24212.8, "data": entries}
        path = tmp_path / "nifty.json"
        path.write_text(json.dumps({"records": records}))
        return lambda: Replay(Settings(path=path))
