"""A browser that asks for the same admin page again as soon as it has it.

    python -m bench.load.pages --port P --path /admin/… --session COOKIE [--seconds S]

Says that it is ready after the first page, and at the end how many there were.
"""

import argparse
import http.client
import time

from bench.load.tally import Failed, say


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", required=True)
    parser.add_argument("--session", required=True)
    parser.add_argument("--seconds", type=float, default=1)
    options = parser.parse_args()
    connection = http.client.HTTPConnection("127.0.0.1", options.port, timeout=30)
    deadline, pages = time.monotonic() + options.seconds, 0
    while not pages or time.monotonic() < deadline:
        connection.request("GET", options.path, headers={"Cookie": f"sessionid={options.session}"})
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise Failed(f"{options.path} was answered {answer.status}.")
        pages += 1
        if pages == 1:
            say(ready=1)
    say(pages=pages)


if __name__ == "__main__":
    main()
