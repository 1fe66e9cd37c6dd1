"""A running central system whose pages for machines are read."""

from tests.fixtures import lasting_system, system

__all__ = ["lasting_system", "system"]
