"""
Why a connection failed, as text for staff, without the error numbers of the network or of TLS.

    describe_connection_error   the end of a sentence: `nothing listens at hooks.example.org:443`
    host_and_port               `hooks.example.org:443`

The verify codes of certificates are those of OpenSSL (`X509_V_ERR_…`).
"""

from __future__ import annotations

import errno
import socket
import ssl

import aiohttp
from yarl import URL

_OF_CERTIFICATES = {
    9: "the certificate of {host} is not valid yet",
    10: "the certificate of {host} has expired",
    18: "the certificate of {host} is self-signed, and the hub does not trust it",
    19: "the certificate of {host} is signed by an authority that the hub does not trust",
    20: "the certificate of {host} is signed by an authority that the hub does not know, or the server leaves out "
    "an intermediate certificate",
    21: "the certificate of {host} is signed by an authority that the hub does not know, or the server leaves out "
    "an intermediate certificate",
    23: "the certificate of {host} was revoked",
    62: "the certificate that answers at {host} is for another name",
    64: "the certificate that answers at {host} is for another address",
}
_OF_NETWORKS = {
    errno.ECONNREFUSED: "nothing listens at {place}",
    errno.ECONNRESET: "the connection to {place} was cut before anything could be sent",
    errno.EHOSTUNREACH: "there is no way through the network to {place}",
    errno.ENETUNREACH: "there is no way through the network to {place}",
    errno.ETIMEDOUT: "{place} does not answer",
}
_OF_NAMES = {
    socket.EAI_AGAIN: "the name {host} could not be looked up just now",
    socket.EAI_NONAME: "the name {host} is not known",
    getattr(socket, "EAI_NODATA", socket.EAI_NONAME): "the name {host} is not known",
}


def describe_connection_error(error: Exception, target: URL) -> str:
    """
    The end of a sentence, without full stop.

    Args:
        error: What the client or the operating system raised on connecting.
        target: The URL to connect to.
    """
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        error = error.certificate_error
    elif isinstance(error, aiohttp.ClientConnectorError):
        error = error.os_error
    text = _text_for(error)
    if text is not None:
        return text.format(host=target.host_subcomponent, place=host_and_port(target))
    # Only the words of the operating system help staff; those of a library are about the library.
    said = f" ({error.strerror.strip().rstrip('.')})" if isinstance(error, OSError) and error.strerror else ""
    return f"the connection to {host_and_port(target)} failed{said}"


def host_and_port(target: URL) -> str:
    """Host and port."""
    return f"{target.host_subcomponent}:{target.port}"


def _text_for(error: Exception) -> str | None:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _OF_CERTIFICATES.get(error.verify_code)
    if isinstance(error, ssl.SSLError):
        # Such as WRONG_VERSION_NUMBER, where it is answered without TLS.
        reason = (error.reason or "TLS failed").replace("{", "").replace("}", "")
        return f"{{place}} does not speak TLS as the hub does ({reason}); check whether its address begins with https"
    if isinstance(error, socket.gaierror):
        return _OF_NAMES.get(error.errno or 0)
    return _OF_NETWORKS.get(error.errno or 0) if isinstance(error, OSError) else None
