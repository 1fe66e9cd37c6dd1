"""`manage.py serve --ftp` in a process of its own."""

import ftplib
import re
from urllib.parse import urlsplit

import httpx
import pytest

from tests.running import wait_for
from tests.serving import Environment, Served, manage


@pytest.mark.slow
@pytest.mark.parametrize("on", [True, False])
def test_ftp_is_off_by_default(process_environment: Environment, on: bool) -> None:
    """On, it lets nobody in without a location; HTTP serves files in any case."""
    environment = process_environment | {"CSMS_FTP_PORT": "0"} | ({"CSMS_FTP": "1"} if on else {})
    manage(environment, "migrate", "--verbosity", "0")
    with Served(environment) as served:
        url = urlsplit(served.admin_url)
        answer = httpx.get(f"http://{url.netloc}/files/firmware/a/b/c", trust_env=False)
        assert answer.status_code == 404
        assert answer.text == "There is nothing here.\n"
        if not on:
            assert "Files, FTP" not in served.output
        else:
            line = r"^Files, FTP +ftp://\S+?:(\d+)/$"
            port = wait_for(lambda: re.search(line, served.output, re.MULTILINE))
            with ftplib.FTP(timeout=10) as client:
                client.connect("127.0.0.1", int(port[1]))
                with pytest.raises(ftplib.error_perm, match="530"):
                    client.login()
        assert served.terminate() == 0
    assert "Traceback" not in served.output
