raise AssertionError("a plugin that does not fit this g6core must not be imported")
