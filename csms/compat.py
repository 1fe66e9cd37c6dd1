"""spyne 2.14.0 on newer Pythons.

It carries an old copy of `six`, whose import hook Python 3.12 no longer serves, and imports `cgi`,
which Python 3.13 removed (requirements.txt installs `legacy-cgi` there). The maintained `six`,
with the one function that spyne had added to its copy, takes its place before spyne is imported.
"""

import importlib
import operator
import sys
import types

_NAME = "spyne.util.six"
_MOVES = (
    "moves",
    "moves.collections_abc",
    "moves.http_cookies",
    "moves.urllib",
    "moves.urllib.error",
    "moves.urllib.parse",
    "moves.urllib.request",
)
"""What spyne imports below `six`."""


def prepare_spyne() -> None:
    """Let `import spyne` work; to be called before it, harmless when called again."""
    if _NAME in sys.modules:
        return
    import six

    copy = types.ModuleType(_NAME, six.__doc__)
    copy.__dict__.update({k: v for k, v in vars(six).items() if not k.startswith("__")})
    copy.__dict__["get_function_name"] = operator.attrgetter("__name__")
    sys.modules[_NAME] = copy
    for name in _MOVES:
        sys.modules[f"{_NAME}.{name}"] = importlib.import_module(f"six.{name}")
