"""`python -m learning_hub.sandbox` starts the sandbox."""

import argparse

from learning_hub.sandbox import seeds, serve


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m learning_hub.sandbox", description="A sandbox iMIS.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 (the default) takes a free one")
    parser.add_argument("--username", default=seeds.USERNAME)
    parser.add_argument("--password", default=seeds.PASSWORD)
    parser.add_argument("--json", action="store_true", help="print one JSON line instead of three readable ones")
    arguments = parser.parse_args()
    try:
        serve(arguments.host, arguments.port, arguments.username, arguments.password, as_json=arguments.json)
    except OSError as error:
        parser.exit(1, f"Cannot listen on {arguments.host}:{arguments.port}: {error.strerror}\n")


if __name__ == "__main__":
    main()
