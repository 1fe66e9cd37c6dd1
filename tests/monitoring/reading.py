"""Reads /metrics as Prometheus does."""

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.running import System


def ask(system: System, path: str = "/metrics", **headers: str) -> httpx.Response:
    return httpx.get(system.http_url + path, headers=headers, trust_env=False, timeout=20)


class Numbers:
    """The numbers of one moment; 0 for a series that is not there."""

    def __init__(self, system: System) -> None:
        response = ask(system)
        assert response.status_code == 200, response.text
        self.text = response.text
        self.series = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(response.text)
            for sample in family.samples
        }

    def of(self, name: str, **labels: str) -> float:
        return self.series.get((name, frozenset(labels.items())), 0.0)


class Since:
    """What has been added since this was made."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._before = Numbers(system)

    def of(self, name: str, **labels: str) -> float:
        return Numbers(self._system).of(name, **labels) - self._before.of(name, **labels)
