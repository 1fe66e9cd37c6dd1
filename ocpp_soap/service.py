"""spyne's part: the service definitions, their interface, and dispatch by the body element.

The operations are declarations: spyne's application knows which body element calls which of them,
and its interface becomes the WSDL. What a call holds passes through `codec`, on the event loop
before the inbox decides and in the inbox's worker thread afterwards, so that no thread is held
while a message waits for its commit. spyne's own steps for a call are left out: making its context
took 44 µs a message and printing the answer's tree 24 (docs/decisions/0004). Faults are not spyne's
either (see `faults`): driven in steps, its error path answers success to unknown operations.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from csms.compat import prepare_spyne

prepare_spyne()

from spyne import Application, ServiceBase, rpc  # noqa: E402  after prepare_spyne
from spyne.protocol.soap import Soap12  # noqa: E402

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
from ocpp_soap.addressing import Envelope  # noqa: E402
from ocpp_soap.faults import fault_text  # noqa: E402
from ocpp_soap.models import model  # noqa: E402
from ocpp_soap.namespaces import CS, Service, request_element, response_element  # noqa: E402
from ocpp_soap.writing import envelope as envelope_text  # noqa: E402

_RECEIVER = {Service.CENTRAL_SYSTEM: Role.CHARGE_POINT, Service.CHARGE_POINT: Role.CENTRAL_SYSTEM}


def operations(service: Service) -> list[AnyRequest]:
    """The requests that a service receives over SOAP, by name."""
    sender = _RECEIVER[service]
    found = [request for request in actions() if request.soap and sender in request.senders]
    return sorted(found, key=action)


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
        in_protocol=Soap12(),
        out_protocol=Soap12(),
    )


@dataclass(slots=True)
class Call:
    """One call of a charge point between its decoding and its answer."""

    action: str
    message_id: str
    request: Request[Any] | None = None
    """What the body says; None when it could not be read: then `error` says why."""
    notes: tuple[Note, ...] = ()
    """The tolerances that reading the body took."""
    error: ProtocolError | None = None

    def encode(self, result: Payload | ProtocolError) -> str:
        """The whole answer envelope; may be called again with another result."""
        if isinstance(result, ProtocolError):
            return fault_text(result, relates_to=self.message_id)
        return envelope_text(
            codec.write(response_element(self.action), result, namespace=CS),
            action=f"/{self.action}Response",  # N22: action /X is answered with /XResponse
            relates_to=self.message_id,
        )


class CentralSystem:
    """The server side of CentralSystemService."""

    def __init__(self) -> None:
        self._operations = application(Service.CENTRAL_SYSTEM).interface.service_method_map

    def open(
        self, envelope: Envelope, *, strict: bool, received_at: datetime, zone: tzinfo
    ) -> Call:
        """Find the operation of an envelope and decode its body.

        The element counts in our namespace whichever it came in. Raises UnknownAction or
        UnsupportedAction; an unreadable body is the call's `error`.
        """
        found = self._operations.get(f"{{{CS}}}{envelope.body_name}")
        if not found or envelope.body is None:
            raise _no_operation(envelope)
        call = Call(found[0].operation_name, envelope.message_id)
        try:
            call.request, call.notes = codec.read(
                ACTIONS[call.action],
                envelope.body,
                namespace=CS,
                strict=strict,
                received_at=received_at,
                zone=zone,
            )
        except ProtocolError as error:
            call.error = error
        return call


def _no_operation(envelope: Envelope) -> ProtocolError:
    name = envelope.body_action
    if not name:
        return FormationViolation("The body element is no request of OCPP 1.6.")
    if name in ACTIONS:
        return UnsupportedAction("The central system does not receive this action over SOAP.")
    return UnknownAction("OCPP 1.6 has no such action.")
