"""`facelearn models`."""

from __future__ import annotations

from typing import Annotated

import typer

from facelearn.cli import options
from facelearn.cli.app import command
from facelearn.cli.printing import print_json, say


@command(epilog="Example: facelearn models --task keypoints")
def models(
    task: Annotated[str | None, typer.Option(help="keypoints, identification or verification.")] = None,
    as_json: options.AsJson = False,
) -> None:
    """List the networks."""
    from facelearn.models.zoo import models as run

    listed = run(task)
    if as_json:
        print_json(listed)
        return
    width = max((len(one["name"]) for one in listed), default=0)
    for one in listed:
        shape = "x".join(str(n) for n in one["input"])
        say(
            f"{one['name']:<{width}}  {one['task']:<14}  {shape:<9}  {one['parameters']:>13,}  {one['summary']} [{one['source']}]"
        )
