"""Certificates of a server and keys of owners, so that both know whom they talk to."""

from __future__ import annotations

import datetime
import ipaddress
import json
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from sudare.core.errors import ConfigError, DataError, MissingExtraError
from sudare.core.files import UNREADABLE, atomic_write

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import (
        EllipticCurvePrivateKey,
        EllipticCurvePublicKey,
    )
    from cryptography.x509 import CertificateBuilder

_DAYS = 730
_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"


def need_network() -> None:
    """Refuse where what a federation over a network needs is not installed.

    Raises:
        MissingExtraError: It is not.
    """
    from importlib.util import find_spec

    if find_spec("grpc") is None or find_spec("cryptography") is None:
        raise MissingExtraError(
            "a federation over a network needs gRPC", fix="pip install 'sudare[federation]'"
        )


def make_key(path: Path) -> Path:
    """A new key of an owner and its certificate.

    Both are in `path` (its own, mode 0600); the certificate alone, for the server, is in
    `path`.crt. The server knows the owner by this certificate and by nothing it says.

    Returns:
        The certificate's file.

    Raises:
        ConfigError: There is one already: owners are known by it.
    """
    need_network()
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509 import BasicConstraints, ExtendedKeyUsage
    from cryptography.x509.oid import ExtendedKeyUsageOID

    public = path.with_name(f"{path.name}.crt")
    if path.exists() or public.exists():
        raise ConfigError("there is a key already", where=str(path), fix="Choose another name.")
    key = ec.generate_private_key(ec.SECP256R1())
    # Certificates are looked up by their subject: two owners who call their file "key" need two.
    subject = f"{path.name[:40]} {secrets.token_hex(8)}"
    certificate = (
        _certificate(subject, issuer=subject, key=key.public_key())
        .add_extension(BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.PEM)
    )
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    _secret(path, _pem(key) + certificate)
    atomic_write(public, certificate, public=True)
    return public


def key_of(path: Path) -> tuple[bytes, bytes]:
    """Private key and certificate of an owner's file, PEM.

    Raises:
        ConfigError: The file holds no such pair, or others may read it.
    """
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from cryptography.x509 import load_pem_x509_certificate

    content = path.read_bytes()
    if path.stat().st_mode & 0o077:
        raise ConfigError(
            "others may read this key", where=str(path), fix=f"Take it from them: chmod 600 {path}."
        )
    at = content.find(_CERTIFICATE)
    try:
        key = load_pem_private_key(content[: max(at, 0)], None)
        certificate = load_pem_x509_certificate(content[at:])
        if key.public_key() != certificate.public_key():
            raise ValueError("they are no pair")
    except (ValueError, TypeError) as error:
        raise ConfigError(
            "this file holds no key with its certificate",
            where=str(path),
            fix="Make one: sudare federate key.",
        ) from error
    return content[:at], content[at:]


def certificate_of(path: Path) -> bytes:
    """An owner's certificate as it came to the server, PEM.

    Raises:
        ConfigError: It is none, or a private key that should not have been sent.
    """
    from cryptography.x509 import load_pem_x509_certificate

    content = path.read_bytes()[: 1 << 16]
    if b"PRIVATE KEY" in content:
        raise ConfigError(
            "this holds a private key, which its owner alone should have",
            where=str(path),
            fix="Remove it, and have the owner make a new one; only the .crt file is sent.",
        )
    try:
        load_pem_x509_certificate(content)
    except ValueError as error:
        raise ConfigError(
            "this is no certificate",
            where=str(path),
            fix="Each owner makes one with sudare federate key OWNER and sends the .crt file.",
        ) from error
    return content


def fingerprint(certificate: bytes) -> str:
    """First 16 digits of a certificate's SHA-256, to compare over the telephone."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509 import load_pem_x509_certificate

    try:
        digest = load_pem_x509_certificate(certificate).fingerprint(hashes.SHA256()).hex()
    except ValueError as error:
        raise ConfigError("this is no certificate") from error
    return " ".join(digest[at : at + 4] for at in range(0, 16, 4))


def signed(text: str, key: bytes, certificate: bytes) -> str:
    """A text with a server's signature (ECDSA, SHA-256) and certificate, as one line of JSON."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    private = load_pem_private_key(key, None)
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        raise ConfigError("the server's key is of another kind than Sudare makes")
    signature = private.sign(text.encode(), ec.ECDSA(hashes.SHA256()))
    return json.dumps(
        {"text": text, "signature": signature.hex(), "certificate": certificate.decode()}
    )


def verified(content: str, authority: bytes) -> str:
    """The text of `signed`, if a server under this authority signed it.

    Raises:
        DataError: It did not.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509 import load_pem_x509_certificate

    try:
        said = json.loads(content)
        text, certificate = said["text"], load_pem_x509_certificate(said["certificate"].encode())
        certificate.verify_directly_issued_by(load_pem_x509_certificate(authority))
        key = certificate.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise ValueError("a key of another kind")
        key.verify(bytes.fromhex(said["signature"]), text.encode(), ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, *UNREADABLE) as error:
        raise DataError("the server's record of rounds is not signed by this job's server") from (
            error
        )
    return str(text)


def make_certificates(authority: Path, server: Path, *, host: str) -> None:
    """A certificate authority of this job alone, and the server's certificate under it.

    Args:
        authority: Where the authority's certificate goes; owners get a copy. Its key is not kept.
        server: The certificate's file; its key goes to `server.with_suffix(".key")`.
        host: The name or address owners dial; the certificate holds for it and for loopback.
    """
    need_network()
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509.oid import ExtendedKeyUsageOID

    root, own = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))

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
        _certificate("sudare job", issuer="sudare job", key=root.public_key())
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
        _certificate(host, issuer="sudare job", key=own.public_key())
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key()), critical=False
        )
        .sign(root, hashes.SHA256())
    )
    # The certificate last: where it lies, all three do.
    atomic_write(server.with_suffix(".key"), _pem(own))
    atomic_write(authority, above.public_bytes(Encoding.PEM), public=True)
    atomic_write(server, below.public_bytes(Encoding.PEM))


def _certificate(subject: str, *, issuer: str, key: EllipticCurvePublicKey) -> CertificateBuilder:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    def name(text: str) -> x509.Name:
        # A common name has at most 64 characters.
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])

    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        # Clocks of two sites may differ.
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=_DAYS))
    )


def _pem(key: EllipticCurvePrivateKey) -> bytes:
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _secret(path: Path, content: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
