"""
Which addresses the hub may connect to.

The person who sets up a subscriber chooses its address, and the hub, which may run in a private network, connects to
it. So only public addresses over https are allowed, unless the operator has listed others. `Guard.check_url` checks the
address in a URL when it is saved; `Guard.check_address` checks the addresses that a name resolves to when the hub
connects, because they can change at any time.

Sources: the IANA registries of special-purpose addresses (RFC 6890 and its updates), RFC 6052 and 8215
(NAT64), RFC 3056 (6to4), RFC 4380 (Teredo); for odd spellings of IPv4 addresses the URL standard of WHATWG,
section 3.5. Python's own `is_global` is not used: it calls `64:ff9b::7f00:1`, `2002:7f00:1::` and
`::127.0.0.1` global, and its tables differ between Python releases.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from ipaddress import (
    AddressValueError,
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_network,
)
from urllib.parse import SplitResult, unquote, urlsplit

import msgspec
from yarl import URL

SETTING = "LEARNING_HUB_ALLOWED_PRIVATE_TARGETS"

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_FORBIDDEN_V4 = [
    (IPv4Network(network), what)
    for network, what in {
        "0.0.0.0/8": "an unspecified address",
        "10.0.0.0/8": "a private address",
        "100.64.0.0/10": "an address of a provider's inner network (CGNAT)",
        "127.0.0.0/8": "a loopback address",
        "168.63.129.16/32": "a cloud's metadata address",
        "169.254.0.0/16": "a link-local or metadata address",
        "172.16.0.0/12": "a private address",
        "192.0.0.0/24": "a reserved address",
        "192.0.2.0/24": "an address for documentation",
        "192.31.196.0/24": "a reserved address",
        "192.52.193.0/24": "a reserved address",
        "192.88.99.0/24": "an address of a 6to4 relay",
        "192.168.0.0/16": "a private address",
        "192.175.48.0/24": "a reserved address",
        "198.18.0.0/15": "an address for measurements",
        "198.51.100.0/24": "an address for documentation",
        "203.0.113.0/24": "an address for documentation",
        "224.0.0.0/4": "a multicast address",
        "240.0.0.0/4": "a reserved address",
    }.items()
]
_FORBIDDEN_V6 = [
    (IPv6Network(network), what)
    for network, what in {
        "::/128": "an unspecified address",
        "::1/128": "a loopback address",
        "64:ff9b:1::/48": "an address of a local NAT64 translator",
        "2001::/32": "a Teredo address",
        "2001::/23": "a reserved address",
        "2001:db8::/32": "an address for documentation",
        "2620:4f:8000::/48": "a reserved address",
        "3fff::/20": "an address for documentation",
        "fc00::/7": "a private address",
        "fe80::/10": "a link-local address",
        "ff00::/8": "a multicast address",
    }.items()
]
# All public IPv6 addresses given out so far are in here; what lies outside is reserved or of local meaning.
_PUBLIC_V6 = IPv6Network("2000::/3")
# Prefixes behind which an IPv4 address stands.
_MAPPED = IPv6Network("::ffff:0:0/96")
_COMPATIBLE = IPv6Network("::/96")
_NAT64 = IPv6Network("64:ff9b::/96")
_SIX_TO_FOUR = IPv6Network("2002::/16")

# Characters that are not seen although their category is that of letters, symbols or marks: joiners, fillers, the blank
# of Braille, and variation selectors (Unicode, Default_Ignorable_Code_Point).
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8\U000e0000-\U000e0fff]"
)
_INVISIBLE_CATEGORIES = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp", "Zs"})

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")


class Listed(msgspec.Struct, frozen=True):
    """One entry of the operator's list: a host name or a network, and a port or None for every port."""

    host: str | None
    network: Network | None
    port: int | None


class Guard:
    """
    Checks whether the hub may connect to a target.

    *allowed_private* are the entries of LEARNING_HUB_ALLOWED_PRIVATE_TARGETS: host names and addresses, each
    with or without `:port`, and networks (`10.0.0.0/8`). What is listed may be private, and may be http.

    Raises:
        ValueError: An entry is none of these; the sentence names the setting and the entry.
    """

    def __init__(self, allowed_private: Iterable[str] = ()) -> None:
        self._listed = [_read_entry(entry) for entry in map(str.strip, allowed_private) if entry]

    def check_url(self, url: str) -> str | None:
        """
        A sentence saying why *url* cannot be a target, or None when it is allowed so far.

        The method resolves no names: the addresses of a name are checked when the hub connects.
        """
        try:
            parts = _split(url)
            host, port = _host_of(parts), _port_of(parts)
            address = read_address(host)
        except ValueError as error:
            return f"{error}.{self._check_disguised(url)}"
        # `localhost` is this machine by RFC 6761, so it may be http where this machine is listed.
        place = address or (IPv4Address("127.0.0.1") if host == "localhost" else None)
        is_listed = self._lists_name(host, port) or (place is not None and self._lists_address(place, port))
        if parts.scheme != "https" and not is_listed:
            return f"The address must begin with https://, unless its host is listed in {SETTING}."
        if address is None or is_listed:
            return None
        what = forbidden_because(address)
        return None if what is None else f"{host} is {what}, which is allowed only if listed in {SETTING}."

    def _check_disguised(self, url: str) -> str:
        """A sentence more where a wrong form hides a forbidden address, empty where it does not."""
        address = _disguised(url)
        what = address and forbidden_because(address)
        if address is None or what is None or self._lists_address(address, port=0):
            return ""
        return f" It leads to {address}, {what}, which is allowed only if listed in {SETTING}."

    def check_address(self, address: Address, *, host: str, port: int, is_https: bool) -> str | None:
        """
        A sentence saying why the hub must not connect to *address* for *host*, or None when it may.

        Args:
            address: What *host* resolved to, or is.
            host: The host of the URL.
            port: The port to connect to.
            is_https: Whether the connection will be encrypted; one that is not must be listed.
        """
        if self._lists_name(host, port) or self._lists_address(address, port):
            return None
        if not is_https:
            return f"{host} is not listed in {SETTING}, so its address must begin with https://."
        what = forbidden_because(address)
        if what is None:
            return None
        return f"{host} leads to {address}, {what}, which is allowed only if listed in {SETTING}."

    def _lists_name(self, host: str, port: int) -> bool:
        name = _plain_name(host)
        return any(entry.host == name and entry.port in (None, port) for entry in self._listed)

    def _lists_address(self, address: Address, port: int) -> bool:
        spellings = {address, _behind(address) or address}
        return any(
            entry.network is not None
            and entry.port in (None, port)
            and any(one in entry.network for one in spellings if one.version == entry.network.version)
            for entry in self._listed
        )


def forbidden_because(address: Address) -> str | None:
    """What kind of forbidden address this is (`a loopback address`), or None for a public one."""
    if isinstance(address, IPv4Address):
        return next((what for network, what in _FORBIDDEN_V4 if address in network), None)
    inner = _behind(address)
    what = next((what for network, what in _FORBIDDEN_V6 if address in network), None)
    if what is not None:
        return what
    if inner is not None:
        what = forbidden_because(inner)
        if what is not None:
            return f"another spelling of {inner}, {what}"
        return "a reserved address" if address in _COMPATIBLE else None
    return None if address in _PUBLIC_V6 else "a reserved address"


def read_address(host: str) -> Address | None:
    """
    The address that *host* spells in any way a resolver would take as one, or None where it is a name.

    `2130706433`, `0x7f.1`, `0177.0.0.1` and `127.1` are all 127.0.0.1.

    Raises:
        ValueError: It looks like an address and is none, or is no host name either.
    """
    if ":" in host:
        try:
            return IPv6Address(host)
        except AddressValueError as error:
            raise ValueError(f"{host} is no IPv6 address") from error
    labels = host.split(".")
    if re.fullmatch(r"[0-9]+|0[xX][0-9a-fA-F]*", labels[-1]):
        return _read_v4(host, labels)
    if len(host) > 254 or not all(_LABEL.fullmatch(label) and _is_readable(label) for label in labels):
        raise ValueError(f"{host!r} is no host name")
    return None


def _is_readable(label: str) -> bool:
    """Whether the client can read the label; it translates international ones back."""
    try:
        return not label.startswith("xn--") or bool(URL(f"https://{label}").host)
    except ValueError:
        return False


def _read_v4(host: str, labels: list[str]) -> IPv4Address:
    try:
        *leading, last = [_read_number(label) for label in labels]
    except ValueError:
        raise ValueError(f"{host} is no IPv4 address") from None
    if len(leading) > 3 or any(number > 255 for number in leading) or last >= 256 ** (4 - len(leading)):
        raise ValueError(f"{host} is no IPv4 address")
    return IPv4Address(last + sum(number << (8 * (3 - place)) for place, number in enumerate(leading)))


def _read_number(label: str) -> int:
    if not re.fullmatch(r"[0-9]{1,40}|0[xX][0-9a-fA-F]{0,40}", label):
        raise ValueError
    if label[:2] in ("0x", "0X"):
        return int(label[2:] or "0", 16)
    return int(label, 8) if label.startswith("0") and len(label) > 1 else int(label)


def _behind(address: Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 address stands for, where it stands for one."""
    if isinstance(address, IPv4Address):
        return None
    if address in _SIX_TO_FOUR:
        return IPv4Address((int(address) >> 80) & 0xFFFFFFFF)
    if any(address in network for network in (_MAPPED, _COMPATIBLE, _NAT64)):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def _split(url: str) -> SplitResult:
    """*url* in its parts; refused are characters that readers of URLs drop or read differently."""
    if any(character <= " " or character in '\\"<>^`{|}\x7f' for character in url):
        raise ValueError("The address has a blank or another character that does not belong into one")
    _need_visible(url)
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError("The address is not well-formed") from None
    if parts.scheme not in ("https", "http"):
        raise ValueError("The address must begin with https://")
    return parts


def _host_of(parts: SplitResult) -> str:
    if parts.username is not None or parts.password is not None:
        raise ValueError("The address must be without user and password")
    if parts.fragment:
        raise ValueError("The address must be without a part after #")
    if "%" in parts.netloc:
        raise ValueError("The host must be written without %")
    _need_ascii_digits(parts.netloc)
    host = _ascii_digits(parts.hostname or "")
    if not host:
        raise ValueError("The address has no host")
    if "[" in parts.netloc and ":" not in host:
        raise ValueError(f"[{host}] is no IPv6 address")
    return _plain_name(host)


def _port_of(parts: SplitResult) -> int:
    written = parts.netloc.rpartition("]")[2].rpartition(":")[2] if ":" in parts.netloc.rpartition("]")[2] else ""
    if not written:
        return 443 if parts.scheme == "https" else 80
    if not re.fullmatch(r"[0-9]{1,5}", written) or not 0 < int(written) < 65536:
        raise ValueError(f"The port must be a number from 1 to 65535, not {written!r}")
    return int(written)


def _need_visible(text: str) -> None:
    """
    Check that a person sees each character of *text*.

    Raises:
        ValueError: A character is invisible, so the text reads as another one.
    """
    hidden = next((each for each in text if _is_invisible(each)), None)
    if hidden is not None:
        raise ValueError(f"The address has an invisible character (U+{ord(hidden):04X}); write it anew")


def _is_invisible(character: str) -> bool:
    if character.isascii():
        return False
    return unicodedata.category(character) in _INVISIBLE_CATEGORIES or _INVISIBLE.match(character) is not None


def _need_ascii_digits(host: str) -> None:
    """
    Check that the digits of *host* are 0 to 9.

    Raises:
        ValueError: Another digit would be read as one of those by some readers of URLs, and refused by others.
    """
    if any(character.isdigit() and not character.isascii() for character in host):
        raise ValueError("The host must be written with the digits 0 to 9")


def _ascii_digits(host: str) -> str:
    """*host* with the dots and digits, of any script, that those see who translate international names."""
    plain = unicodedata.normalize("NFKC", host).replace("\N{IDEOGRAPHIC FULL STOP}", ".")
    return "".join(str(unicodedata.decimal(each, each)) for each in plain)


def _disguised(url: str) -> Address | None:
    """
    The address that *url*, which has a wrong form, would lead to; None where none is to be seen.

    Read as generously as any reader of URLs might: percent-encoded, with a zone, dots or a user too many.
    """
    seen = (character for character in url if character > " " and not _is_invisible(character))
    text = unquote("".join(seen)).replace("\\", "/")
    match = re.match(r"[a-z]*:?//+(?:[^/?#]*@)?(?:\[([^]/]*)\]?|([^/?#:]*))", text, re.IGNORECASE)
    host = _ascii_digits(match[1] or match[2] or "").partition("%")[0].strip(".") if match else ""
    try:
        return read_address(host.lower())
    except ValueError:
        return None


def _plain_name(host: str) -> str:
    """The name as the list and the resolver see it: lower case, ASCII, without the dot at its end."""
    name = host.lower().removesuffix(".")
    if not name.isascii():
        try:
            name = name.encode("idna").decode("ascii")
        except UnicodeError as error:
            raise ValueError(f"{host!r} is no host name") from error
    return name


def _read_entry(entry: str) -> Listed:
    host, port = entry, None
    if match := re.fullmatch(r"(\[[^\]]+\]|[^:/]+):([0-9]{1,5})", entry):
        host, port = match[1], int(match[2])
    host = host.removeprefix("[").removesuffix("]")
    try:
        _need_visible(host)
        _need_ascii_digits(host)
        if "/" in host:
            return Listed(None, ip_network(host, strict=False), port)
        address = read_address(_plain_name(host))
    except ValueError:
        raise ValueError(f"{SETTING}: {entry!r} is no host, no address and no network such as 10.0.0.0/8.") from None
    if address is None:
        return Listed(_plain_name(host), None, port)
    return Listed(None, ip_network(address), port)
