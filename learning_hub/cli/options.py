"""Options that many commands have."""

from __future__ import annotations

import rich_click as click

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
