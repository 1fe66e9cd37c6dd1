"""Who may come in: addresses where logins fail all the time (F20, and the flood of guesses)."""

from csms import conf
from csms.gate import Gate

GUESSER, OTHER, PROXY = "192.0.2.1", "192.0.2.2", "10.0.0.1"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def knocks(gate: Gate, address: str) -> bool:
    """Whether a socket from there is heard."""
    heard = gate.enter(address)
    gate.leave(address)
    return heard


def heard_of(gate: Gate, address: str, clock: Clock, *, each_second: int, seconds: int) -> int:
    """How many of so many logins that fail were heard."""
    heard = 0
    for _ in range(each_second * seconds):
        clock.now += 1 / each_second
        if knocks(gate, address):
            heard += 1
            gate.refused(address)
    return heard


def test_a_flood_of_wrong_logins_is_heard_twenty_times_a_second() -> None:
    clock = Clock()
    gate = Gate(conf.read({}), now=clock)
    first = heard_of(gate, GUESSER, clock, each_second=200, seconds=2)
    assert 120 <= first <= 170  # what may come at once, and what is allowed meanwhile
    assert 190 <= heard_of(gate, GUESSER, clock, each_second=200, seconds=10) <= 210
    assert knocks(gate, OTHER)
    clock.now += 7
    assert knocks(gate, GUESSER)


def test_a_fleet_with_wrong_keys_is_always_heard() -> None:
    """Three hundred behind one address, each of which tries again every half minute."""
    clock = Clock()
    gate = Gate(conf.read({}), now=clock)
    assert heard_of(gate, GUESSER, clock, each_second=10, seconds=120) == 1200


def test_the_address_of_a_listed_proxy_is_always_heard() -> None:
    clock = Clock()
    gate = Gate(conf.read({"CSMS_TRUSTED_PROXIES": "10.0.0.0/8"}), now=clock)
    assert heard_of(gate, PROXY, clock, each_second=200, seconds=5) == 1000
