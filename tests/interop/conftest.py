"""A running central system for the tests of this folder."""

from tests.fixtures import lasting_system, system

__all__ = ["lasting_system", "system"]
