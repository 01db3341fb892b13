"""
What a receiver may repeat of a request's address and headers, and must not come out of the hub again.

Nothing says which part of an address or of a header is secret, so values that are long enough to be are taken as such.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote, urlsplit

from learning_hub.connectors.mask import MASK

# Shorter values are no secrets, and masking them would make responses unreadable. Values of a query are often words.
SHORTEST_HEADER = 4
SHORTEST_IN_QUERY = 6
# A part of a path is taken as a token if it has this many characters, some of them digits.
SHORTEST_TOKEN = 16
_TOKEN = re.compile(r"(?=.*\d)[A-Za-z0-9_.~%=-]+")
# Headers that say how to answer. A receiver repeats their values by answering, and nothing in them is secret.
_OF_NEGOTIATION = frozenset({"accept", "accept-charset", "accept-language", "cache-control", "pragma"})


def secrets_of_headers(headers: Mapping[str, str]) -> list[str]:
    """The values, and the long words in them, as in `Token 4f3a...`."""
    found = []
    for name, value in headers.items():
        if name.lower() in _OF_NEGOTIATION:
            continue
        found += [value, *(word for word in value.split() if len(word) >= SHORTEST_TOKEN)]
    return [secret for secret in found if len(secret) >= SHORTEST_HEADER]


def secrets_of_address(url: str) -> list[str]:
    """The values of the query, and parts of the path that look like tokens, each as it is written and decoded."""
    parts = urlsplit(url)
    written = [_split_pair(pair)[1] for pair in parts.query.split("&")]
    decoded = [value for _, value in parse_qsl(parts.query)]
    tokens = [part for part in parts.path.split("/") if _is_token(part)]
    found = [*written, *decoded, *tokens, *map(unquote, tokens)]
    return [secret for secret in dict.fromkeys(found) if len(secret) >= SHORTEST_IN_QUERY]


def masked_address(url: str) -> str:
    """*url* with `***` instead of each value of its query, however short, and of parts of the path like tokens."""
    parts = urlsplit(url)
    query = "&".join(_split_pair(pair)[0] + MASK for pair in parts.query.split("&")) if parts.query else ""
    path = "/".join(MASK if _is_token(part) else part for part in parts.path.split("/"))
    return parts._replace(path=path, query=query, fragment=MASK if parts.fragment else "").geturl()


def _split_pair(pair: str) -> tuple[str, str]:
    """The part of a query up to its `=`, and the value behind it; one without `=` is a value."""
    name, sign, value = pair.partition("=")
    return (name + sign, value) if value else ("", pair)


def _is_token(part: str) -> bool:
    return len(part) >= SHORTEST_TOKEN and _TOKEN.fullmatch(part) is not None
