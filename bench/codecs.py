"""What reading one MeterValues of six samples costs, without server and database (µs each).

python -m bench.codecs [--seconds S]
"""

import argparse
import time
from collections.abc import Callable
from datetime import UTC, datetime

from bench import messages
from bench.load.tally import say
from bench.peers import spyne_package

REPEAT = 5


def cost(function: Callable[[], object], seconds: float) -> float:
    """µs of one call: the best of several runs, since noise only adds."""
    best = float("inf")
    for _ in range(REPEAT):
        count, started = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - started) < seconds / REPEAT:
            for _ in range(20):
                function()
            count += 20
        best = min(best, elapsed / count)
    return best * 1e6


def json_ours(text: str) -> Callable[[], object]:
    """Frame and payload, strictly read."""
    from ocpp_json import frames

    def read() -> object:
        call = frames.parse(text)
        assert isinstance(call, frames.Call)
        declared = frames.declaration(call.action)
        now = datetime.now(UTC)
        return frames.read(declared, call.payload, strict=True, received_at=now, zone=UTC)

    return read


def json_package(text: str) -> Callable[[], object]:
    """Frame, and jsonschema over the payload; the package builds no typed message."""
    from ocpp.messages import _validate_payload, unpack

    def read() -> object:
        call = unpack(text)
        _validate_payload(call, "1.6")
        return call

    return read


def soap_ours(envelope: str) -> Callable[[], object]:
    """Parse, headers, operation, body and the reply's envelope, as the endpoint does."""
    from csms.ocpp.core import MeterValuesResponse
    from ocpp_soap import addressing, guard
    from ocpp_soap.service import CentralSystem

    service = CentralSystem()

    def handle() -> object:
        read = addressing.read_envelope(guard.parse(envelope))
        call = service.open(read, strict=True, received_at=datetime.now(UTC), zone=UTC)
        assert call.error is None
        return call.encode(MeterValuesResponse())

    return handle


def soap_body(envelope: str) -> Callable[[], object]:
    """The body alone, from parsed element to validated message."""
    from csms.ocpp.core import MeterValues
    from ocpp_soap import addressing, codec, guard

    body = addressing.read_envelope(guard.parse(envelope)).body
    assert body is not None

    def read() -> object:
        return codec.read(
            MeterValues,
            body,
            namespace=messages.SERVICE,
            strict=True,
            received_at=datetime.now(UTC),
            zone=UTC,
        )

    return read


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=1)
    seconds = parser.parse_args().seconds
    frame = messages.meter_values_json(1, transaction=1, register=1)
    envelope = messages.meter_values_soap(1, identity="BENCH-0001", register=1)
    stock = spyne_package.caller()
    say(
        json=cost(json_ours(frame), seconds),
        json_peer=cost(json_package(frame), seconds),
        soap=cost(soap_ours(envelope.decode()), seconds),
        soap_body=cost(soap_body(envelope.decode()), seconds),
        soap_peer=cost(lambda: stock(envelope), seconds),
    )


if __name__ == "__main__":
    main()
