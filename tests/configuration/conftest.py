"""What the tests of this folder share with those of other subjects."""

from tests.subjects import *  # noqa: F403
