"""Errors that only SOAP knows, beside those of `csms.ocpp.errors`.

::

    RpcViolation            the message breaks the rules of the transport
    ├── VersionMismatch     the envelope is not one of SOAP 1.2
    ├── NotUnderstood       a header block that must be understood is not
    └── Refused             turned away before it was parsed, with an HTTP status of its own
"""

from csms.ocpp.errors import RpcViolation

UNREAD = {
    413: "The message is too large for a sender that is not known.",
    429: "Too much that came from this address was refused.",
}
"""Why one who is not known is turned away before anything is parsed, by HTTP status."""


class VersionMismatch(RpcViolation):
    """The envelope is not one of SOAP 1.2."""


class NotUnderstood(RpcViolation):
    """A header block that must be understood is not."""

    def __init__(self, blocks: tuple[tuple[str, str], ...]) -> None:
        super().__init__("A header block that must be understood is not.")
        self.blocks = blocks
        """Namespace ("" for none) and local name of each."""


class Refused(RpcViolation):
    """Turned away before it was parsed."""

    def __init__(self, description: str, status: int) -> None:
        super().__init__(description)
        self.status = status
