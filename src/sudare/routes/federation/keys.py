"""Certificates of a server and keys of owners, so that both know whom they talk to."""

from __future__ import annotations

import datetime
import ipaddress
import os
from pathlib import Path

from sudare.core.errors import ConfigError, MissingExtraError
from sudare.core.files import atomic_write

__all__ = ["make_certificates", "make_key", "need_flower"]

_DAYS = 365


def need_flower() -> None:
    """Refuse where Flower is not installed.

    Raises:
        MissingExtraError: It is not.
    """
    from importlib.util import find_spec

    if find_spec("flwr") is None:
        raise MissingExtraError(
            "a federation over a network needs Flower", fix="pip install 'sudare[federation]'"
        )


def make_key(path: Path) -> Path:
    """A new key pair of an owner: `path` (its own, mode 0600) and `path`.pub (for the server).

    Returns:
        The public file.

    Raises:
        ConfigError: There is one already: owners are known by it.
    """
    need_flower()
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        PublicFormat,
    )

    public = path.with_name(f"{path.name}.pub")
    if path.exists() or public.exists():
        raise ConfigError("there is a key already", where=str(path), fix="Choose another name.")
    key = ec.generate_private_key(ec.SECP384R1())
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    _secret(path, key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    atomic_write(
        public, key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH), public=True
    )
    return public


def make_certificates(authority: Path, server: Path, *, host: str) -> None:
    """A certificate authority of this job alone, and the server's certificate under it.

    Args:
        authority: Where the authority's certificate goes; owners get a copy. Its key is not kept.
        server: The certificate's file; its key goes to `server.with_suffix(".key")`.
        host: The name or address owners dial; the certificate holds for it and for loopback.
    """
    need_flower()
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    now = datetime.datetime.now(datetime.UTC)
    root, own = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))

    def certificate(subject: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(name("sudare job"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=5))
            .not_valid_after(now + datetime.timedelta(days=_DAYS))
        )

    def usage(*, signs: bool) -> x509.KeyUsage:
        return x509.KeyUsage(
            digital_signature=not signs,
            key_cert_sign=signs,
            crl_sign=signs,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )

    above = (
        certificate("sudare job", root)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage(signs=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(root.public_key()), critical=False)
        .sign(root, hashes.SHA256())
    )
    loopback = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    try:
        dialled: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        dialled = x509.DNSName(host)
    hosts = [dialled] if dialled == loopback else [dialled, loopback]
    below = (
        certificate(host, own)
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key()), critical=False
        )
        .sign(root, hashes.SHA256())
    )
    atomic_write(authority, above.public_bytes(Encoding.PEM), public=True)
    atomic_write(server, below.public_bytes(Encoding.PEM))
    _secret(
        server.with_suffix(".key"),
        own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )


def _secret(path: Path, content: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
