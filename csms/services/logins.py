"""Logins over the database: whether a charge point is who it says, by its security profile.

Each refusal is a security event (security_events.py), but for those of identities that nobody
knows, which are listed. admission.py is what the edges call.
"""

import hmac
import secrets
from datetime import datetime
from typing import NamedTuple

from django.db import IntegrityError, transaction

from csms.conf import settings
from csms.models import ChargePoint
from csms.models.charge_points import Registration, SecurityProfile, SoapProof, Strictness
from csms.services import flush, security_profiles
from csms.services.charge_points import identity_problem
from csms.services.facts import ChargerFacts
from csms.services.passwords import (
    given_encoded,
    is_key,
    is_slow,
    password_fits,
    rotation_seen,
)
from csms.services.peers import ClientCertificate, Peer, network_of
from csms.services.security_events import event_keep
from csms.services.world import World

MOST_VERIFIED = 50_000
"""Passwords remembered as right."""


class Refused(Exception):
    """This identity may not talk to us; `reason` is one plain sentence."""

    def __init__(
        self,
        reason: str,
        *,
        unknown: bool = False,
        unauthorized: bool = False,
        mismatch: bool = False,
        too_many: bool = False,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.unknown = unknown
        """Nobody knows the identity (HTTP 404)."""
        self.unauthorized = unauthorized
        """The password is missing or wrong (HTTP 401)."""
        self.mismatch = mismatch
        """The proof names somebody else (SOAP: IdentityMismatch)."""
        self.too_many = too_many
        """Too much has failed: nothing was looked at (HTTP 429)."""


class Login(NamedTuple):
    """What somebody says who they are, and by what they prove it."""

    identity: str
    transport: str
    """`json` or `soap`."""
    peer: Peer
    user: str | None = None
    password: bytes | None = None
    in_path: bool = False
    """The password came as the last segment of the URL's path (SOAP)."""


class SlowHash(Exception):
    """A person's password must be checked, which takes a fifth of a second."""

    def __init__(self, *, known: bool = False) -> None:
        super().__init__()
        self.known = known
        """The charge point was last admitted from the same network."""


_key = secrets.token_bytes(32)
_verified: dict[tuple[bytes, str], str] = {}


def proof_of(user: str | None, password: bytes | None) -> bytes:
    """Stands for credentials in memory, from which they cannot be had back."""
    if not user and not password:
        return b""
    text = repr((user, password)).encode()
    return hmac.digest(_key, text, "sha256")


def proven(proof: bytes, address: str) -> bool:
    """Whether these credentials were right before, from the same network: from another one they
    may be a guess, and count as one."""
    return (proof, network_of(address)) in _verified


def charge_point_admit(
    *,
    login: Login,
    now: datetime,
    crowded: bool = False,
    patient: bool = True,
    trusting: bool = True,
) -> ChargerFacts:
    """Look an identity up and check its proof. Raises Refused.

    `crowded`: too many identities have failed from this address; looked at is only who was last
    admitted from there, who has a certificate, and whose key nobody guesses. Unless `patient`,
    raises SlowHash before a slow hash is computed; unless `trusting`, also where the same password
    was right before.
    """
    problem = identity_problem(login.identity)
    if problem:
        raise Refused(problem, unknown=True)
    charge_point = ChargePoint.objects.filter(identity=login.identity).first()
    if crowded and login.peer.certificate is None:
        guessable = charge_point is None or not is_key(charge_point.password)
        if guessable and not _was_here(charge_point, login):
            event_keep(
                identity="",
                kind="TooManyAttempts",
                info="many identities failed from this address",
                remote_address=login.peer.address,
                now=now,
            )
            raise Refused("Too many identities have failed from this address.", too_many=True)
    if login.user is not None and login.user != login.identity:
        _event(charge_point, "IdentityMismatch", f"user name {login.user[:100]}", login, now)
        raise Refused(
            "The user name is not the identity.",
            unknown=charge_point is None,
            unauthorized=True,
            mismatch=True,
        )
    if charge_point is None:
        charge_point = _stranger(login, now, patient=patient)
    if charge_point.transport != login.transport:
        _event(charge_point, "WrongTransport", f"came over {login.transport}", login, now)
        raise Refused(f"This charge point is set up for {charge_point.get_transport_display()}.")
    profile = _prove(charge_point, login, now, patient=patient, trusting=trusting)
    if profile == charge_point.pending_security_profile:
        security_profiles.raise_reached(charge_point)
    return ChargerFacts(
        pk=charge_point.pk,
        identity=charge_point.identity,
        transport=charge_point.transport,
        strict=charge_point.strictness == Strictness.STRICT,
        time_zone=charge_point.time_zone,
        authenticated=profile != SecurityProfile.NONE,
    )


def _was_here(charge_point: ChargePoint | None, login: Login) -> bool:
    """Whether a charge point was last admitted from the network of this login."""
    if charge_point is None or not charge_point.remote_address:
        return False
    return network_of(charge_point.remote_address) == network_of(login.peer.address)


def _prove(
    charge_point: ChargePoint, login: Login, now: datetime, *, patient: bool, trusting: bool
) -> SecurityProfile:
    """By which of its profiles this login proves the charge point. Raises Refused."""
    offered = security_profiles.offered(login.peer, login.password)
    refusal: Refused | None = None
    for profile in security_profiles.allowed(charge_point):
        try:
            if profile in offered:
                _prove_by(profile, charge_point, login, now, patient=patient, trusting=trusting)
                return profile
        except Refused as refused:
            refusal = refusal or refused
    if refusal is not None:
        raise refusal
    wanted = SecurityProfile(charge_point.security_profile)
    if not login.password and wanted == (
        SecurityProfile.TLS if login.peer.tls else SecurityProfile.BASIC
    ):
        raise _wrong_password(charge_point, login, now, "none was given")
    came = f"profile {wanted} is set up, {max(offered)} came"
    _event(charge_point, "WrongSecurityProfile", came, login, now)
    raise Refused(f"This charge point is set up for security profile {wanted.label}.")


def _prove_by(
    profile: SecurityProfile,
    charge_point: ChargePoint,
    login: Login,
    now: datetime,
    *,
    patient: bool,
    trusting: bool,
) -> None:
    match profile:
        case SecurityProfile.NONE:
            if not security_profiles.trusted(login.peer):
                _event(charge_point, "UntrustedNetwork", "", login, now)
                raise Refused("Without a proof it may come from trusted networks only.")
        case SecurityProfile.CLIENT_CERTIFICATE:
            assert login.peer.certificate is not None  # offered
            _prove_by_certificate(charge_point, login.peer.certificate, login, now)
        case SecurityProfile.BASIC | SecurityProfile.TLS:
            _prove_by_password(charge_point, login, now, patient=patient, trusting=trusting)


def _prove_by_certificate(
    charge_point: ChargePoint, certificate: ClientCertificate, login: Login, now: datetime
) -> None:
    problem = security_profiles.certificate_problem(
        charge_point, certificate, now=now, config=settings()
    )
    if problem:
        what = f"{problem} CN {certificate.common_name[:60]}, serial {certificate.serial}"
        _event(charge_point, "InvalidClientCertificate", what, login, now)
        named = security_profiles.certificate_name(charge_point)
        raise Refused(problem, mismatch=certificate.common_name != named)


def _prove_by_password(
    charge_point: ChargePoint, login: Login, now: datetime, *, patient: bool, trusting: bool
) -> None:
    password = login.password or b""
    if login.in_path != (login.transport == "soap" and charge_point.soap_proof == SoapProof.PATH):
        raise _wrong_password(charge_point, login, now, "it came where it is not expected")
    if password_fits(charge_point.pending_password, password):
        rotation_seen(charge_point)
        return
    if trusting and _was_right(charge_point.password, login):
        return
    if is_slow(charge_point.password) and not patient:
        raise SlowHash(known=_was_here(charge_point, login))
    if not _password_fits(charge_point.password, login):
        raise _wrong_password(charge_point, login, now)


def _wrong_password(
    charge_point: ChargePoint, login: Login, now: datetime, info: str = ""
) -> Refused:
    _event(charge_point, "InvalidCredentials", info, login, now)
    return Refused("The password is missing or wrong.", unauthorized=True)


def _was_right(encoded: str, login: Login) -> bool:
    """Whether a password was right before; it stays so in the same network until its hash
    changes."""
    known = proof_of(login.user, login.password), network_of(login.peer.address)
    return bool(encoded) and _verified.get(known) == encoded


def _password_fits(encoded: str, login: Login) -> bool:
    """Check a password against its hash; what is right is remembered."""
    if not password_fits(encoded, login.password or b""):
        return False
    if len(_verified) > MOST_VERIFIED:
        _verified.clear()
    known = proof_of(login.user, login.password), network_of(login.peer.address)
    _verified[known] = encoded
    return True


def _stranger(login: Login, now: datetime, *, patient: bool) -> ChargePoint:
    """What the setting says about unknown identities: listed, or taken from trusted networks.

    One that is taken is from then on held to the proof that it came with.
    """
    identity, transport, peer = login.identity, login.transport, login.peer
    config = settings()
    if config.unknown_chargers != "reject" and security_profiles.trusted(peer):
        if login.password and not patient:
            raise SlowHash
        accepted = config.unknown_chargers == "accept"
        profile = max(security_profiles.offered(peer, login.password))
        name = peer.certificate.common_name if peer.certificate is not None else ""
        encoded = given_encoded(login.password) if login.password else ""
        try:
            with transaction.atomic():
                return ChargePoint.objects.create(
                    identity=identity,
                    transport=transport,
                    registration=Registration.ACCEPTED if accepted else Registration.PENDING,
                    security_profile=profile,
                    password=encoded,
                    certificate_name=name,
                    soap_proof=SoapProof.PATH if login.in_path else SoapProof.BASIC,
                )
        except IntegrityError:
            return ChargePoint.objects.get(identity=identity)
    if transport == "json":  # over SOAP the boot itself is answered, and knocks
        world = World()
        world.knock(identity, transport, remote_address=peer.address, at=now)
        with transaction.atomic():
            flush.flush(world)
    certificate = login.peer.certificate
    mismatch = certificate is not None and certificate.common_name != login.identity
    if mismatch:
        assert certificate is not None
        _event(None, "IdentityMismatch", f"CN {certificate.common_name[:100]}", login, now)
    raise Refused(
        "No charge point of this identity is known here.", unknown=True, mismatch=mismatch
    )


def _event(
    charge_point: ChargePoint | None, kind: str, info: str, login: Login, now: datetime
) -> None:
    event_keep(
        charge_point=charge_point,
        identity=login.identity,
        kind=kind,
        info=info,
        remote_address=login.peer.address,
        now=now,
    )
