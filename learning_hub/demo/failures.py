"""Why the demonstration cannot go on."""


class DemoFailedError(Exception):
    """The demonstration cannot go on; the text says why, in whole sentences."""
