from g6core import hookimpl


@hookimpl
def g6_sink():
    return []
