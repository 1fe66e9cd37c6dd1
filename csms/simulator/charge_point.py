"""A simulated charge point: what it is, what it sends, and the tasks that it runs.

::

    async with SimulatedChargePoint("CP-1", transport=JsonTransport(url, password=b"…")) as cp:
        await cp.register()
        await cp.status(1, ChargePointStatus.PREPARING)
        transaction = await cp.start(1, "TAG")
        await cp.meter(1, wh=500)
        await cp.stop(1)
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any, Self

from msgspec import UNSET

from csms.ocpp.base import Payload, Request
from csms.ocpp.core import (
    Authorize,
    AuthorizeResponse,
    BootNotification,
    BootNotificationResponse,
    Heartbeat,
    HeartbeatResponse,
    MeterValues,
    StartTransaction,
    StartTransactionResponse,
    StatusNotification,
    StopTransaction,
)
from csms.ocpp.types import (
    AuthorizationStatus,
    ChargePointErrorCode,
    ChargePointStatus,
    IdTagInfo,
    MeterValue,
    ReadingContext,
    Reason,
    RegistrationStatus,
)
from csms.simulator import meter
from csms.simulator.clock import Clock
from csms.simulator.configuration import Configuration
from csms.simulator.engine import Engine
from csms.simulator.journal import Journal
from csms.simulator.operations import answer_to
from csms.simulator.outbox import Outbox
from csms.simulator.plan import Plan
from csms.simulator.state import (
    Certificate,
    Connector,
    LocalList,
    Transaction,
    use_reservation,
)
from csms.simulator.transport import Answer, CallFailed, NoAnswer, Transport

REBOOT = 2.0
"""Seconds that a restart takes."""


class SimulatedChargePoint(Engine):
    """One charge point with connectors 1 to `connectors`; use it as an asynchronous context."""

    def __init__(
        self,
        identity: str,
        *,
        transport: Transport,
        connectors: int = 2,
        plan: Plan | None = None,
        clock: Clock | None = None,
        journal: Journal | None = None,
        seed: int | None = None,
        allow_remote: bool = False,
        on_event: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__(
            identity,
            transport=transport,
            clock=clock,
            journal=journal,
            seed=seed,
            on_event=on_event,
        )
        self.plan = plan or Plan()
        self.allow_remote = allow_remote
        self.configuration = Configuration(connectors=connectors, security=transport.name == "JSON")
        self.configuration["MeterValueSampleInterval"] = str(self.plan.interval)
        if self.plan.transaction_data:
            self.configuration["StopTxnSampledData"] = "Energy.Active.Import.Register"
        self.connectors = {number: Connector(id=number) for number in range(connectors + 1)}
        self.firmware_version = "1.0.0"
        self.local_list = LocalList()
        self.cache: dict[str, IdTagInfo] = {}
        self.certificates: list[Certificate] = []
        self.statuses: dict[str, str] = {}
        """The last status of each procedure: firmware, diagnostics, log (absent: Idle)."""
        self.procedures: dict[str, asyncio.Task[Any]] = {}
        self.registration: RegistrationStatus | None = None
        self.registered = asyncio.Event()
        self.sessions_done = 0
        self.sessions_refused = 0
        self._heartbeat_changed = asyncio.Event()
        self._unreported: set[int] = set()
        self._to_report = asyncio.Event()
        self.outbox = Outbox(
            send=self.call,
            may_send=self._may_send,
            clock=self.clock,
            configuration=self.configuration,
            given_up=self.violation,
        )

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self.spawn(self.outbox.run())
        self.spawn(self._report_statuses())
        return self

    def decide(self, request: Request[Any]) -> Answer:
        """What a call of the central system is answered; raises Refused."""
        return answer_to(self, request)

    # --- what it sends

    async def boot(self) -> BootNotificationResponse:
        """Once it can: say what it is, and obey the answer."""
        await self.transport.ready()
        request = BootNotification(
            charge_point_vendor="Simulator",
            charge_point_model=f"SIM-{self.transport.name}",
            charge_point_serial_number=self.identity[-25:],
            firmware_version=self.firmware_version,
            meter_type="Simulated meter",
        )
        reply = await self.call(request)
        self.registration = reply.status
        self.event(f"boot {reply.status.value}, interval {reply.interval} s")
        if reply.status is RegistrationStatus.ACCEPTED:
            if reply.interval > 0:
                self.configuration["HeartbeatInterval"] = str(reply.interval)
            self.heartbeat_changed()
            self.registered.set()
        return reply

    async def register(self) -> None:
        """Boot until it is accepted, no sooner than the central system asks (4.2)."""
        while not self.registered.is_set():
            wait = 10
            try:
                reply = await self.boot()
                wait = reply.interval if reply.interval > 0 else wait
            except (NoAnswer, CallFailed) as error:
                self.event(f"boot not answered: {error}")
            if not self.registered.is_set():
                await self.clock.wait_for(self.registered, wait)

    async def announce(self) -> None:
        """Report the status of the charge point and of each connector."""
        for connector in self.connectors.values():
            if connector.transaction is None:
                connector.status = connector.resting
            await self.report(connector.id)

    async def heartbeat(self) -> HeartbeatResponse:
        """Ask for the time."""
        return await self.call(Heartbeat())

    async def authorize(self, id_tag: str) -> IdTagInfo:
        """Ask whether an idTag may charge; without the central system, what it knows itself."""
        try:
            reply: AuthorizeResponse = await self.call(Authorize(id_tag=id_tag))
        except NoAnswer:
            return self._authorize_offline(id_tag)
        self.cache[id_tag.casefold()] = reply.id_tag_info
        return reply.id_tag_info

    def _authorize_offline(self, id_tag: str) -> IdTagInfo:
        """3.5: the local list, the cache, then AllowOfflineTxForUnknownId."""
        folded = id_tag.casefold()
        if self.configuration.flag("LocalAuthorizeOffline"):
            known = self.local_list.entries.get(folded) or self.cache.get(folded)
            if known is not None:
                return known
        allowed = self.configuration.flag("AllowOfflineTxForUnknownId")
        status = AuthorizationStatus.ACCEPTED if allowed else AuthorizationStatus.INVALID
        return IdTagInfo(status=status)

    async def status(
        self,
        connector_id: int,
        status: ChargePointStatus,
        error_code: ChargePointErrorCode = ChargePointErrorCode.NO_ERROR,
    ) -> None:
        """Set and report a connector's status; without a connection, once there is one."""
        connector = self.connectors[connector_id]
        connector.status, connector.error_code = ChargePointStatus(status), error_code
        if connector.status in (ChargePointStatus.FAULTED, ChargePointStatus.UNAVAILABLE):
            # 5.13: a reservation ends "when the Charge Point or connector are set to" either
            for holder in self.connectors.values():
                if connector_id in (0, holder.id):
                    holder.reservation = None
        await self.report(connector_id)

    async def report(self, connector_id: int) -> None:
        """Report the status that a connector has."""
        connector = self.connectors[connector_id]
        request = StatusNotification(
            connector_id=connector_id,
            status=connector.status,
            error_code=connector.error_code,
            timestamp=self.clock.now(),
        )
        try:
            await self.call(request)
        except NoAnswer:
            self._unreported.add(connector_id)
            self._to_report.set()
        except CallFailed as error:
            self.violation(f"StatusNotification failed: {error}")

    def begin(self, connector_id: int, id_tag: str, parent_id_tag: str = "") -> Transaction:
        """Start a transaction; StartTransaction is queued."""
        connector = self.connectors[connector_id]
        if connector.transaction is not None:
            raise ValueError(f"Connector {connector_id} has a transaction already.")
        now = self.clock.now().replace(microsecond=0)
        if connector.last_start == (now, int(connector.meter)):
            connector.meter += 1  # else the two starts could not be told apart
        register = int(connector.meter)
        connector.last_start = (now, register)
        transaction = Transaction(
            connector_id=connector_id,
            id_tag=id_tag,
            parent_id_tag=parent_id_tag,
            meter_start=register,
            started_at=now,
        )
        transaction.begin = self.reading(connector_id, ReadingContext.TRANSACTION_BEGIN, at=now)
        used = use_reservation((connector, self.connectors[0]), id_tag, parent_id_tag)
        request = StartTransaction(
            connector_id=connector_id,
            id_tag=id_tag,
            timestamp=now,
            meter_start=register,
            reservation_id=UNSET if used is None else used,
        )
        connector.transaction = transaction

        def heard(reply: Payload | None) -> None:
            if isinstance(reply, StartTransactionResponse):
                transaction.id, transaction.id_tag_info = reply.transaction_id, reply.id_tag_info
                self.cache[id_tag.casefold()] = reply.id_tag_info
                said = reply.id_tag_info.status.value
                self.event(f"connector {connector_id}: transaction {transaction.id} {said}")
            transaction.confirmed.set()

        self.outbox.put(lambda: request, heard)
        return transaction

    async def start(self, connector_id: int = 1, id_tag: str = "TAG") -> Transaction:
        """Start a transaction and wait for its id."""
        transaction = self.begin(connector_id, id_tag)
        await transaction.confirmed.wait()
        return transaction

    def reading(
        self,
        connector_id: int,
        context: ReadingContext,
        *,
        at: datetime | None = None,
        watts: float = 0.0,
        setting: str = "MeterValuesSampledData",
    ) -> MeterValue:
        """What a connector measures now, of the measurands that a setting names."""
        measurands = meter.supported(self.configuration.listed(setting))
        return meter.reading(
            self.connectors[connector_id],
            watts=watts,
            measurands=measurands or meter.supported(["Energy.Active.Import.Register"]),
            context=context,
            at=at or self.clock.now(),
            noise=self.random,
        )

    async def meter(
        self,
        connector_id: int = 1,
        *,
        wh: float = 0.0,
        watts: float = 0.0,
        context: ReadingContext = ReadingContext.SAMPLE_PERIODIC,
    ) -> None:
        """Add `wh` to the register, send a reading and wait until it is acknowledged."""
        self.connectors[connector_id].meter += wh
        await self.send_reading(connector_id, watts=watts, context=context)

    def send_reading(
        self,
        connector_id: int,
        *,
        watts: float = 0.0,
        context: ReadingContext = ReadingContext.SAMPLE_PERIODIC,
    ) -> asyncio.Future[Payload]:
        """Queue a reading of a connector and, where one runs, of its transaction."""
        transaction = self.connectors[connector_id].transaction
        value = self.reading(connector_id, context, watts=watts)
        return self.outbox.put(
            lambda: MeterValues(
                connector_id=connector_id,
                transaction_id=UNSET if transaction is None else transaction.id,
                meter_value=(value,),
            )
        )

    def end(
        self, connector_id: int, reason: Reason = Reason.LOCAL, *, id_tag: str = ""
    ) -> asyncio.Future[Payload]:
        """End the transaction of a connector; StopTransaction is queued."""
        connector = self.connectors[connector_id]
        transaction = connector.transaction
        if transaction is None:
            raise ValueError(f"Connector {connector_id} has no transaction.")
        now, register = self.clock.now(), int(connector.meter)
        setting, context = "StopTxnSampledData", ReadingContext.TRANSACTION_END
        data: tuple[MeterValue, ...] = ()
        if self.configuration.listed(setting) and transaction.begin is not None:
            data = (transaction.begin, self.reading(connector_id, context, at=now, setting=setting))
        connector.transaction, transaction.reason = None, reason
        transaction.ended.set()
        self.event(f"connector {connector_id}: stopped, {reason.value}, {register} Wh")
        return self.outbox.put(
            lambda: StopTransaction(
                transaction_id=transaction.id,
                id_tag=id_tag or UNSET,
                timestamp=now,
                meter_stop=register,
                reason=reason,
                transaction_data=data or UNSET,
            )
        )

    async def stop(
        self, connector_id: int = 1, reason: Reason = Reason.LOCAL, *, id_tag: str = ""
    ) -> Payload:
        """End the transaction of a connector and wait until that is acknowledged."""
        return await self.end(connector_id, reason, id_tag=id_tag)

    # --- what goes on

    def heartbeat_changed(self) -> None:
        """The heartbeat interval counts anew."""
        self._heartbeat_changed.set()

    async def beat(self) -> None:
        """Send heartbeats at the interval that the central system has given, for ever."""
        while True:
            await self.registered.wait()
            self._heartbeat_changed.clear()
            interval = self.configuration.whole("HeartbeatInterval") or 86400
            if not await self.clock.wait_for(self._heartbeat_changed, interval):
                try:
                    await self.heartbeat()
                except (NoAnswer, CallFailed) as error:
                    self.event(f"heartbeat not answered: {error}")

    async def reboot(self, reason: Reason) -> None:
        """Stop what runs, restart, boot again. After a hard reset the stops come after the boot."""
        for connector in self.connectors.values():
            if connector.transaction is not None:
                self.end(connector.id, reason)
        if reason is not Reason.HARD_RESET and not await self.outbox.emptied(30.0):
            self.event("restarts with messages waiting")
        self.registered.clear()
        self.registration = None
        await self.transport.drop()
        await self.clock.sleep(REBOOT)
        await self.register()
        await self.announce()

    async def _may_send(self) -> None:
        await self.registered.wait()
        await self.transport.ready()

    async def _report_statuses(self) -> None:
        """Report what could not be reported, as it is by then."""
        while True:
            await self._to_report.wait()
            await self._may_send()
            await self.clock.sleep(1.0)
            self._to_report.clear()
            for connector_id in sorted(self._unreported):
                self._unreported.discard(connector_id)
                await self.report(connector_id)
