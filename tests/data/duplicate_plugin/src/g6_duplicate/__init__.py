from g6core import Sink, SinkSpec, hookimpl


class Lines(Sink):
    def __init__(self, settings):
        pass

    def write(self, snapshots):
        pass


@hookimpl
def g6_sinks():
    return [SinkSpec(name="lines", build=Lines)]
