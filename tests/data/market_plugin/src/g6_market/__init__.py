"""The test kit's market as a provider, so that a recorder starts quickly and needs no plugin of ours."""

from g6core import ProviderSpec, hookimpl


def build(settings):
    from g6core.testing import FakeMarket

    return FakeMarket(("NIFTY", "SENSEX"))


@hookimpl
def g6_providers():
    return [ProviderSpec(name="market", build=build, help="the fake market of the test kit")]
