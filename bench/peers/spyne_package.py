"""Stock spyne as its documentation shows it: ComplexModels, Soap12 in and out, WSGI.

Called in a loop in this process, one envelope after another: no socket, no HTTP, nothing stored.

    python -m bench.peers.spyne_package [--warm-up S] [--seconds S]
"""

import argparse
import io
import time
from collections.abc import Callable
from typing import Any

from csms.compat import prepare_spyne

prepare_spyne()

from spyne import (  # noqa: E402  after prepare_spyne
    Application,
    ComplexModel,
    DateTime,
    Integer32,
    ServiceBase,
    Unicode,
    rpc,
)
from spyne.protocol.soap import Soap12  # noqa: E402
from spyne.server.wsgi import WsgiApplication  # noqa: E402

from bench import messages  # noqa: E402
from bench.load.tally import say  # noqa: E402

_OPTIONAL = Unicode(min_occurs=0)


class SampledValue(ComplexModel):  # type: ignore[misc]  # spyne has no types
    __namespace__ = messages.SERVICE
    _type_info = [
        ("value", Unicode(min_occurs=1)),
        ("context", _OPTIONAL),
        ("format", _OPTIONAL),
        ("measurand", _OPTIONAL),
        ("phase", _OPTIONAL),
        ("location", _OPTIONAL),
        ("unit", _OPTIONAL),
    ]


class MeterValue(ComplexModel):  # type: ignore[misc]
    __namespace__ = messages.SERVICE
    _type_info = [
        ("timestamp", DateTime(min_occurs=1)),
        ("sampledValue", SampledValue.customize(min_occurs=1, max_occurs="unbounded")),
    ]


class MeterValuesRequest(ComplexModel):  # type: ignore[misc]
    __namespace__ = messages.SERVICE
    _type_info = [
        ("connectorId", Integer32(min_occurs=1)),
        ("transactionId", Integer32(min_occurs=0)),
        ("meterValue", MeterValue.customize(min_occurs=0, max_occurs="unbounded")),
    ]


class MeterValuesResponse(ComplexModel):  # type: ignore[misc]
    __namespace__ = messages.SERVICE


class Service(ServiceBase):  # type: ignore[misc]
    @rpc(  # type: ignore[untyped-decorator]
        MeterValuesRequest,
        _returns=MeterValuesResponse,
        _body_style="bare",
        _operation_name="MeterValues",
        _in_message_name=f"{{{messages.SERVICE}}}meterValuesRequest",
        _out_message_name=f"{{{messages.SERVICE}}}meterValuesResponse",
    )
    def MeterValues(ctx: Any, request: Any) -> Any:  # noqa: N802, N805, RUF100
        assert len(request.meterValue[0].sampledValue) == len(messages.SAMPLES)
        return MeterValuesResponse()


def server() -> WsgiApplication:
    return WsgiApplication(
        Application(
            [Service],
            tns=messages.SERVICE,
            name="CentralSystemService",
            in_protocol=Soap12(),
            out_protocol=Soap12(),
        )
    )


def caller() -> Callable[[bytes], None]:
    """A function that has an envelope handled; it raises when the answer is no reply."""
    wsgi = server()
    statuses: list[str] = []

    def start_response(status: str, _: Any, exc_info: Any = None) -> None:
        statuses.append(status)

    def call(envelope: bytes) -> None:
        environment = {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": "/",
            "QUERY_STRING": "",
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "80",
            "CONTENT_TYPE": "application/soap+xml; charset=utf-8",
            "CONTENT_LENGTH": str(len(envelope)),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(envelope),
        }
        statuses.clear()
        answer = b"".join(wsgi(environment, start_response))
        if not statuses[0].startswith("200") or b"meterValuesResponse" not in answer:
            raise RuntimeError(f"spyne answered {statuses[0]}: {answer!r}")

    return call


def rate(call: Callable[[bytes], None], seconds: float) -> float:
    """Envelopes a second."""
    identity = messages.IDENTITY % 1
    started = time.perf_counter()
    count = 0
    while (elapsed := time.perf_counter() - started) < seconds:
        call(messages.meter_values_soap(count, identity=identity, register=count))
        count += 1
    return count / elapsed


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--warm-up", type=float, default=1)
    parser.add_argument("--seconds", type=float, default=1)
    options = parser.parse_args()
    call = caller()
    rate(call, options.warm_up)
    say(rate=rate(call, options.seconds))


if __name__ == "__main__":
    main()
