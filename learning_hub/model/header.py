"""Texts in HTTP headers, which are bytes and do not say in which encoding."""

from __future__ import annotations


def header_text(value: bytes) -> str:
    """The text of a header's value: UTF-8 where it is that, else Latin-1, in which every byte is a character."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")
