"""spyne's part: service definitions, dispatch by the body element, and the steps of one call.

A server object of spyne is driven step by step, so that no thread is held while a message waits
for its commit: find the operation and decode (`CentralSystem.open`), then, when the inbox has
decided, encode (`Call.encode`, in the inbox's worker thread). The step between, spyne's call of
the operation, is left out: the operations are declarations. The protocol is spyne's Soap12 with
our codec in the place of its (de)serialization. Faults are not spyne's (see `faults`): driven in
steps, its error path answers success to unknown operations.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any

from lxml import etree

from csms.compat import prepare_spyne

prepare_spyne()

from spyne import Application, MethodContext, ServiceBase, rpc  # noqa: E402  after prepare_spyne
from spyne.protocol.soap import Soap12  # noqa: E402
from spyne.server import ServerBase  # noqa: E402

from csms.ocpp.base import Payload, Request, Role, action, reply_type  # noqa: E402
from csms.ocpp.errors import (  # noqa: E402
    FormationViolation,
    ProtocolError,
    UnknownAction,
    UnsupportedAction,
)
from csms.ocpp.registry import ACTIONS, AnyRequest, actions  # noqa: E402
from csms.ocpp.tolerance import Note  # noqa: E402
from ocpp_soap import codec  # noqa: E402
from ocpp_soap.addressing import Envelope, append_answer_headers  # noqa: E402
from ocpp_soap.faults import fault_text  # noqa: E402
from ocpp_soap.models import model  # noqa: E402
from ocpp_soap.namespaces import (  # noqa: E402
    BODY,
    ENVELOPE,
    HEADER,
    SOAP,
    WSA,
    Service,
    request_element,
    response_element,
)

_RECEIVER = {Service.CENTRAL_SYSTEM: Role.CHARGE_POINT, Service.CHARGE_POINT: Role.CENTRAL_SYSTEM}


def operations(service: Service) -> list[AnyRequest]:
    """The requests that a service receives over SOAP, by name."""
    sender = _RECEIVER[service]
    found = [request for request in actions() if request.soap and sender in request.senders]
    return sorted(found, key=action)


@dataclass(slots=True)
class Exchange:
    """What one call carries through spyne's context."""

    envelope: Envelope
    strict: bool
    received_at: datetime
    zone: tzinfo
    request: Any = None
    notes: tuple[Note, ...] = field(default=())


class DerivedSoap12(Soap12):  # type: ignore[misc]  # spyne has no type information
    """Soap12 whose documents are parsed by `guard` and whose bodies pass through `codec`."""

    def create_in_document(self, ctx: Any, charset: str | None = None) -> None:
        """The document was parsed before spyne saw it."""

    def decompose_incoming_envelope(self, ctx: Any, message: Any = None) -> None:
        """Dispatch by the body element, in our namespace whichever of ours it came in."""
        envelope: Envelope = ctx.udc.envelope
        ctx.in_body_doc = envelope.body
        ctx.method_request_string = f"{{{self.app.tns}}}{envelope.body_name}"

    def deserialize(self, ctx: Any, message: Any) -> None:
        """Body element to Struct. Raises a ProtocolError."""
        exchange: Exchange = ctx.udc
        reading = codec.read(
            ACTIONS[ctx.descriptor.operation_name],
            ctx.in_body_doc,
            namespace=self.app.tns,
            strict=exchange.strict,
            received_at=exchange.received_at,
            zone=exchange.zone,
        )
        ctx.in_object = exchange.request = reading.request
        exchange.notes = reading.notes

    def serialize(self, ctx: Any, message: Any) -> None:
        """Struct to the whole answer envelope."""
        exchange: Exchange = ctx.udc
        name = ctx.descriptor.operation_name
        ctx.out_document = etree.Element(
            ENVELOPE, nsmap={"env": SOAP, "wsa": WSA, "cs": self.app.tns}
        )
        append_answer_headers(
            etree.SubElement(ctx.out_document, HEADER),
            action=f"/{name}Response",  # N22: action /X is answered with /XResponse
            relates_to=exchange.envelope.message_id,
        )
        codec.write(
            etree.SubElement(ctx.out_document, BODY),
            response_element(name),
            ctx.out_object[0],
            namespace=self.app.tns,
        )

    def create_out_string(self, ctx: Any, charset: str | None = None) -> None:
        """The envelope as text, which is also what the log keeps."""
        ctx.out_string = [etree.tostring(ctx.out_document, encoding="unicode")]


def _operation(name: str, *, full: bool) -> Callable[..., None]:
    """The function that spyne wants for an operation, by its name and arguments; never called."""
    function: Callable[..., None] = (lambda ctx, request: None) if full else (lambda ctx: None)
    function.__name__ = name
    return function


def _method(service: Service, request: type[Request[Any]]) -> Any:
    name, namespace = action(request), service.value
    reply: type[Payload] = reply_type(request)
    full = bool(request.__struct_fields__)
    return rpc(
        *([model(request, namespace)] if full else []),
        _returns=model(reply, namespace),
        _body_style="bare",
        _operation_name=name,
        _in_message_name=f"{{{namespace}}}{request_element(name)}",
        _out_message_name=f"{{{namespace}}}{response_element(name)}",
    )(_operation(name, full=full))


def _service_class(service: Service) -> Any:
    methods = {action(request): _method(service, request) for request in operations(service)}
    made: Any = type(service.service_name, (ServiceBase,), methods)
    for descriptor in made.public_methods.values():
        request = ACTIONS[descriptor.operation_name]
        if not request.__struct_fields__:  # spyne has named the empty type after the element
            descriptor.in_message = model(request, service.value).customize(
                sub_name=request_element(descriptor.operation_name), sub_ns=service.value
            )
    return made


def application(service: Service) -> Any:
    """spyne's Application of a service, its operations derived from the declarations."""
    return Application(
        [_service_class(service)],
        tns=service.value,
        name=service.service_name,
        in_protocol=DerivedSoap12(),
        out_protocol=DerivedSoap12(),
    )


class Call:
    """One call of a charge point between its decoding and its answer."""

    def __init__(self, server: Any, ctx: Any, exchange: Exchange) -> None:
        self._server = server
        self._ctx = ctx
        self._exchange = exchange
        self.action: str = ctx.descriptor.operation_name
        self.error: ProtocolError | None = None

    @property
    def request(self) -> Request[Any] | None:
        """What the body says; None when it could not be read."""
        request: Request[Any] | None = self._exchange.request
        return request

    @property
    def notes(self) -> tuple[Note, ...]:
        """The tolerances that reading the body took."""
        return self._exchange.notes

    def decode(self) -> None:
        """Read the body: `request` is set afterwards, or else `error`."""
        try:
            self._server.get_in_object(self._ctx)
        except ProtocolError as error:
            self.error = error

    def encode(self, result: Payload | ProtocolError) -> str:
        """The whole answer envelope; may be called again with another result."""
        if isinstance(result, ProtocolError):
            return fault_text(result, relates_to=self._exchange.envelope.message_id)
        self._ctx.out_object = [result]
        self._ctx.out_document = self._ctx.out_string = None
        self._server.get_out_string(self._ctx)
        return str(self._ctx.out_string[0])


class CentralSystem:
    """The server side of CentralSystemService."""

    def __init__(self) -> None:
        self._server = ServerBase(application(Service.CENTRAL_SYSTEM))

    def open(
        self, envelope: Envelope, *, strict: bool, received_at: datetime, zone: tzinfo
    ) -> Call:
        """Find the operation of an envelope and decode its body.

        Raises UnknownAction or UnsupportedAction; an unreadable body is the call's `error`.
        """
        exchange = Exchange(envelope, strict, received_at, zone)
        first = MethodContext(self._server, MethodContext.SERVER)
        first.udc = exchange
        ctx = self._server.generate_contexts(first)[0]
        if ctx.in_error is not None:
            raise _no_operation(envelope)
        call = Call(self._server, ctx, exchange)
        call.decode()
        return call


def _no_operation(envelope: Envelope) -> ProtocolError:
    name = envelope.body_action
    if not name:
        return FormationViolation("The body element is no request of OCPP 1.6.")
    if name in ACTIONS:
        return UnsupportedAction("The central system does not receive this action over SOAP.")
    return UnknownAction("OCPP 1.6 has no such action.")
