"""An authority, two server certificates and their files, once for each test file."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.tls.certificates import Authority, Issued


@dataclass
class Pki:
    """The files of a central system with TLS, and the keys behind them."""

    folder: Path
    servers: Authority
    chargers: Authority
    """Signs the certificates of charge points."""
    revoked: Issued
    """One that was revoked from the start."""

    @property
    def server_ca(self) -> str:
        return str(self.folder / "server-ca.pem")

    @property
    def client_ca(self) -> str:
        return str(self.folder / "client-ca.pem")

    @property
    def crl(self) -> str:
        return str(self.folder / "crl.pem")

    @property
    def pairs(self) -> str:
        return (
            f"{self.folder}/ec.pem:{self.folder}/ec.key,{self.folder}/rsa.pem:{self.folder}/rsa.key"
        )

    @property
    def environment(self) -> dict[str, str]:
        """Settings of a server that asks for client certificates and knows the revoked ones."""
        return {
            "CSMS_TLS_CERTIFICATES": self.pairs,
            "CSMS_TLS_CLIENT_CA": self.client_ca,
            "CSMS_TLS_CLIENT_CRL": self.crl,
        }

    def renew(self) -> None:
        """Write fresh server certificates."""
        self.servers.issue("localhost", server=True).write(self.folder, "ec")
        self.servers.issue("localhost", kind="rsa", server=True).write(self.folder, "rsa")

    def revoke(self, *issued: Issued) -> None:
        """Publish a revocation list with these as well."""
        for each in issued:
            self.chargers.revoke(each)
        Path(self.crl).write_bytes(self.chargers.revocation_list())


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    chargers = Authority("Charge points")
    folder = tmp_path_factory.mktemp("pki")
    made = Pki(folder, Authority("Servers"), chargers, revoked=chargers.issue("REVOKED"))
    made.renew()
    made.revoke(made.revoked)
    Path(made.server_ca).write_bytes(made.servers.pem)
    Path(made.client_ca).write_bytes(made.chargers.pem)
    return made
