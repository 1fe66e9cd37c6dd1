"""spyne imports on every supported Python."""

import subprocess
import sys

from csms.compat import prepare_spyne

IMPORTS = """
import warnings
warnings.simplefilter("ignore")
from csms.compat import prepare_spyne
prepare_spyne()
prepare_spyne()
import spyne.application, spyne.server, spyne.protocol.soap, spyne.interface.wsdl
from spyne.util import six
import six as real
assert six is not real and six.string_types is real.string_types
assert six.get_function_name(prepare_spyne) == "prepare_spyne"
assert not hasattr(real, "get_function_name")
"""


def test_spyne_imports_in_a_fresh_process() -> None:
    subprocess.run([sys.executable, "-c", IMPORTS], check=True, timeout=60)


def test_preparing_again_changes_nothing() -> None:
    prepare_spyne()
    before = sys.modules["spyne.util.six"]
    prepare_spyne()
    assert sys.modules["spyne.util.six"] is before
