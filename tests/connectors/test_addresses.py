"""What may be connected to: literal addresses in every spelling, and the operator's list."""
# ruff: noqa: RUF001 - the odd digits are what is tested.

from __future__ import annotations

import re
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning_hub.connectors.addresses import SETTING, Guard, forbidden_because, read_address

FORBIDDEN_HOSTS = [
    "127.0.0.1",
    "127.0.0.1.",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0X7F.1",
    "0x7f.0.0.0x1",
    "0177.0.0.1",
    "017700000001",
    "127.0.0.01",
    "0",
    "0.0.0.0",
    "0x",
    "10.0.0.8",
    "10.8",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "192.168.257",
    "3232235777",
    "169.254.169.254",
    "0xa9fea9fe",
    "168.63.129.16",
    "100.64.0.1",
    "100.100.100.200",
    "192.0.0.192",
    "198.18.0.1",
    "192.0.2.1",
    "203.0.113.9",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "[::]",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::127.0.0.1]",
    "[::7f00:1]",
    "[::8.8.8.8]",
    "[::ffff:127.0.0.1]",
    "[::FFFF:7F00:1]",
    "[::ffff:10.0.0.1]",
    "[::ffff:a9fe:a9fe]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::a00:1]",
    "[64:ff9b:1::8.8.8.8]",
    "[2002:7f00:1::]",
    "[2002:a9fe:a9fe::1]",
    "[2001:0:4136:e378:8000:63bf:3fff:fdd2]",
    "[2001:db8::1]",
    "[3fff::1]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[fe80::1]",
    "[fec0::1]",
    "[ff02::1]",
    "[100::1]",
    "[4000::1]",
    "１２７.0.0.1",
    "127。0。0。1",
    "①②⑦.0.0.1",
]
ALLOWED_HOSTS = [
    "example.org",
    "EXAMPLE.org.",
    "members.example.org:8443",
    "bücher.example",
    "xn--bcher-kva.example",
    "xn--strae-oqa.example",
    "8.8.8.8",
    "134744072",
    "[2606:4700::1111]",
    "[::ffff:8.8.8.8]",
    "[64:ff9b::8.8.8.8]",
    "[2002:808:808::1]",
    "localhost",
    "127.0.0.1.example.org",
    "0x7f.example.org",
]
WRONG_FORMS = [
    "",
    "example.org",
    "//example.org",
    "https:",
    "https://",
    "https:///path",
    "https://?a=b",
    "ftp://example.org",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "https://user@example.org",
    "https://user:secret@example.org",
    "https://:secret@example.org",
    "https://@example.org",
    "https://example.org/#part",
    "https://example.org:99999",
    "https://example.org:x",
    "https://exa mple.org",
    "https://example.org/a b",
    "https://example.org\\@10.0.0.1",
    "https://exam\tple.org",
    "https://example.org\n",
    "https://127%2e0.0.1",
    "https://[fe80::1%25eth0]",
    "https://[::1",
    "https://[127.0.0.1]",
    "https://1.2.3.4.5",
    "https://256.0.0.1",
    "https://4294967296",
    "https://09.0.0.1",
    "https://1.2.3.0x1ffffffff",
    "https://example..org",
    "https://example.org..",
    "https://-example.org",
    "https://exa$mple.org",
    f"https://{'a' * 64}.org",
    f"https://{'a.' * 130}org",
    "https://[v1.x]",
    "https://xn--a",
    "https://www.xn--a.example",
    "https://example.org:0",
    "https://example.org:٣",
]
# Of a wrong form, and another reader of it may come to a forbidden address.
DISGUISED = [
    "https://[fe80::1%25eth0]",
    "https://[fe80::1%eth0]:443/x",
    "https://127%2e0.0.1",
    "https://%31%32%37.0.0.1",
    "https://127.0.0.1..",
    "https://user@127.0.0.1",
    "https://[::1",
    "https://[127.0.0.1]",
    "https://127.0.\t0.1",
    "https://127.0.0.1\\@example.org",
    "https:///127.0.0.1",
    "https://127.0.0.1:port",
    "https://127.0.\u200b0.1",
    "https://١٢٧.0.0.1",
    "https://१२७.०.०.१/",
]
# A person sees another address than the hub does, or none at all.
INVISIBLE = [
    "https://lo\u200bcalhost/",
    "https://example.org\u200b/",
    "\ufeffhttps://example.org/",
    "https://exam\u00adple.org/",
    "https://exam\u200dple.org/",
    "https://example.org/\u2060in",
    "https://example.org/in?to=\u200e1",
    "https://example\u00a0.org/",
    "https://example.org/\u3000",
    "https://exam\u115fple.org",
    "https://exam\ufe0fple.org",
    "https://exam\u034fple.org",
    "https://exam\u2800ple.org/",
    "https://example.org/\U000e0041",
    "https://exam\u3164ple.org",
    "https://exam\u180eple.org",
    "https://example.org/\u0085",
    "https://example.org/\u2028",
]
ODD_DIGITS = [
    "https://١٢٧.0.0.1/",
    "https://example٣.org/",
    "https://hook².example.org/",
    "https://①②⑦.0.0.1",
    "https://４.example",
]


@pytest.mark.parametrize("host", FORBIDDEN_HOSTS)
def test_forbidden_addresses_are_refused_in_every_spelling(host: str) -> None:
    """A private address is refused however it is written, and the sentence names the setting."""
    assert SETTING in (Guard().check_url(f"https://{host}/hook") or "")


@pytest.mark.parametrize("host", ALLOWED_HOSTS)
def test_public_addresses_and_names_pass(host: str) -> None:
    """Public addresses pass, and names, which are checked when they are connected to."""
    assert Guard().check_url(f"https://{host}/hook?a=b") is None


@pytest.mark.parametrize("url", WRONG_FORMS)
def test_wrong_forms_are_refused(url: str) -> None:
    """What is no plain https address gives a sentence."""
    assert (Guard().check_url(url) or "").endswith(".")


@pytest.mark.parametrize("url", WRONG_FORMS)
def test_what_is_wrong_is_reported_in_words_of_the_hub(url: str) -> None:
    """No sentence of Python's gets to people."""
    message = Guard().check_url(url) or ""
    assert "cast" not in message
    assert "Invalid" not in message
    assert "appear" not in message


@pytest.mark.parametrize("url", DISGUISED)
def test_a_forbidden_address_in_disguise_names_the_setting(url: str) -> None:
    """The message says what the form is and where it leads; listing the address makes a wrong form no better."""
    assert SETTING in (Guard().check_url(url) or "")
    message = Guard(["127.0.0.0/8", "::1", "fe80::/10"]).check_url(url)
    assert message is not None
    assert SETTING not in message


@pytest.mark.parametrize("url", INVISIBLE)
def test_invisible_characters_are_refused(url: str) -> None:
    """An address with a character that nobody sees is refused, and the sentence has its code point."""
    assert "invisible character (U+" in (Guard(["localhost", "127.0.0.0/8"]).check_url(url) or "")


@pytest.mark.parametrize("url", ODD_DIGITS)
def test_digits_of_other_scripts_are_refused(url: str) -> None:
    """A host with digits that readers of addresses translate, or do not, is refused, also where it is listed."""
    assert "digits 0 to 9" in (Guard(["127.0.0.0/8"]).check_url(url) or "")


def test_plain_http_is_refused() -> None:
    """A target that is not listed must be https."""
    assert "https://" in (Guard().check_url("http://example.org/") or "")


@pytest.mark.parametrize(
    ("listed", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8080/"),
        ("127.0.0.1", "http://2130706433/"),
        ("127.0.0.0/8", "https://127.9.9.9/"),
        ("127.0.0.0/8", "http://localhost:8080"),
        ("127.0.0.0/8", "https://[::ffff:127.0.0.1]/"),
        ("10.0.0.0/8,imis.internal", "http://IMIS.internal./x"),
        ("imis.internal:8080", "http://imis.internal:8080/x"),
        ("[::1]:8080", "http://[::1]:8080/"),
        ("::1", "http://[::1]/"),
        ("fd00::/8", "http://[fd00::5]/"),
        (" 10.1.2.3 , ", "http://10.1.2.3"),
        ("bücher.example", "http://xn--bcher-kva.example"),
    ],
)
def test_what_the_operator_lists_may_be_private_and_http(listed: str, url: str) -> None:
    """Hosts, with or without a port, and networks can be listed."""
    assert Guard(listed.split(",")).check_url(url) is None


@pytest.mark.parametrize(
    ("listed", "url"),
    [
        ("127.0.0.1", "http://127.0.0.2/"),
        ("127.0.0.1:8080", "http://127.0.0.1:8081/"),
        ("imis.internal", "http://other.internal/"),
        ("imis.internal", "http://x.imis.internal/"),
        ("imis.internal", "https://user@imis.internal/"),
        ("10.0.0.0/8", "https://192.168.0.1/"),
        ("10.0.0.0/8", "http://example.org/"),
    ],
)
def test_a_listed_target_opens_no_other(listed: str, url: str) -> None:
    """Only what is listed is opened, and only in a proper form."""
    assert Guard(listed.split(",")).check_url(url) is not None


@pytest.mark.parametrize(
    "entry", ["10.0.0.0/99", "lo\u200bcalhost", "١٠.0.0.1", "a b", "http://example.org", "300.1.1.1", "x/y"]
)
def test_a_wrong_entry_stops_the_start(entry: str) -> None:
    """The sentence names the setting and the entry."""
    with pytest.raises(ValueError, match=re.escape(f"{SETTING}: {entry!r}")):
        Guard([entry])


def test_addresses_are_checked_at_the_moment_of_connecting() -> None:
    """A public name that leads to a private address is refused, and the sentence says where it leads."""
    objection = Guard().check_address(ip_address("10.1.2.3"), host="example.org", port=443, is_https=True)
    assert objection is not None
    assert "example.org leads to 10.1.2.3, a private address" in objection


def test_unencrypted_connections_need_a_listed_host_or_address() -> None:
    """Without https a public address is refused as well, unless it is listed."""
    public = ip_address("8.8.8.8")
    assert Guard().check_address(public, host="dns.example", port=80, is_https=False) is not None
    assert Guard(["dns.example"]).check_address(public, host="dns.example", port=80, is_https=False) is None
    assert Guard(["8.8.8.0/24"]).check_address(public, host="dns.example", port=80, is_https=False) is None


@given(st.ip_addresses(v=4))
def test_an_address_within_another_is_checked_as_itself(inner: object) -> None:
    """Mapped, translated and 6to4 forms of an IPv4 address are as forbidden as it is."""
    number = int(ip_address(str(inner)))
    is_forbidden = forbidden_because(ip_address(str(inner))) is not None
    for outer in ((0xFFFF << 32) | number, (0x64FF9B << 96) | number, (0x2002 << 112) | (number << 80)):
        address = ip_address(outer.to_bytes(16, "big"))
        assert (forbidden_because(address) is not None) == is_forbidden


@given(st.text(max_size=40))
def test_any_text_gets_a_verdict(text: str) -> None:
    """Nothing that could be sent as an address raises."""
    for url in (text, f"https://{text}", f"https://{text}/x", f"https://example.org/{text}"):
        assert isinstance(Guard().check_url(url), str | None)


@given(st.integers(min_value=0, max_value=2**32 - 1))
def test_numbers_are_read_as_resolvers_read_them(number: int) -> None:
    """Decimal, octal and hexadecimal spellings of a number are the same address."""
    spellings = [str(number), f"{number:#x}", f"0{number:o}"]
    assert {read_address(spelling) for spelling in spellings} == {ip_address(number)}
