"""One tree of protocol errors; each edge maps it to its own wire codes in one place.

::

    ProtocolError                   what a charge point did cannot be answered with a reply
    ├── UnknownAction               no such action in OCPP 1.6
    ├── UnsupportedAction           the action exists, but not for this receiver or transport
    ├── FormationViolation          the payload is no well-formed object of its action
    ├── PropertyConstraintViolation a field holds a value outside its bounds
    ├── OccurrenceConstraintViolation a field is missing, or there are too few or too many
    ├── TypeConstraintViolation     a field holds a value of the wrong type
    ├── RpcViolation                the message breaks the rules of the transport (frame, headers)
    ├── IdentityMismatch            the message names another charge point than its connection
    ├── SecurityViolation           not allowed before registration, or not authenticated
    └── InternalFailure             our fault; nothing about its cause leaves the system

`Unavailable` is no ProtocolError: nothing can be committed now, so that the edges answer it
below the protocol (WebSocket close 1013, HTTP 503) and the charge point keeps its message.
"""


class ProtocolError(Exception):
    """The message cannot be answered with a reply."""

    def __init__(self, description: str = "", *, path: str = "") -> None:
        super().__init__(description)
        self.description = description
        """One sentence for the charge point's log, at most 255 characters, without internals."""
        self.path = path
        """Where in the payload, as `meterValue[0].timestamp`; empty when not about one field."""


class UnknownAction(ProtocolError):
    """No such action in OCPP 1.6."""


class UnsupportedAction(ProtocolError):
    """The action exists, but not for this receiver or transport."""


class FormationViolation(ProtocolError):
    """The payload is no well-formed object of its action."""


class PropertyConstraintViolation(ProtocolError):
    """A field holds a value outside its bounds."""


class OccurrenceConstraintViolation(ProtocolError):
    """A field is missing, or there are too few or too many."""


class TypeConstraintViolation(ProtocolError):
    """A field holds a value of the wrong type."""


class RpcViolation(ProtocolError):
    """The message breaks the rules of the transport (frame, headers)."""


class IdentityMismatch(ProtocolError):
    """The message names another charge point than its connection."""


class SecurityViolation(ProtocolError):
    """Not allowed before registration, or not authenticated."""


class InternalFailure(ProtocolError):
    """An internal error occurred; the message was kept."""


class Unavailable(Exception):
    """Nothing can be committed now; the sender should keep its message and try again later."""
