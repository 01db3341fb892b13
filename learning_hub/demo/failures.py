"""The failure of the demonstration."""


class DemoFailedError(Exception):
    """The demonstration cannot continue; the text says why, in whole sentences."""
