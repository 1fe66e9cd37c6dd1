"""spyne 2.14.0 on newer Pythons.

It carries an old copy of `six`, whose import hook Python 3.12 no longer serves, and imports `cgi`,
which Python 3.13 removed (requirements.txt installs `legacy-cgi` there). The real `six` takes the
place of the copy before spyne is first imported.
"""

import importlib
import sys


def prepare_spyne() -> None:
    """Let `import spyne` work; harmless when called again."""
    if "spyne.util.six" in sys.modules:
        return
    import six

    sys.modules["spyne.util.six"] = six
    for name in ("moves", "moves.urllib", "moves.urllib.parse", "moves.urllib.request",
                 "moves.urllib.error", "moves.http_cookies", "moves.collections_abc"):
        try:
            sys.modules[f"spyne.util.six.{name}"] = importlib.import_module(f"six.{name}")
        except ImportError:
            continue
