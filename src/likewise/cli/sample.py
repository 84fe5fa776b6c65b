"""``likewise sample``: which pictures to count by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from likewise.cli.terminal import say
from likewise.cli.writable import check_file
from likewise.errors import LikewiseError
from likewise.plain_text import printable


def sample(
    counts: Path,
    /,
    *,
    number: Annotated[int, Parameter(name=("--number", "-n"))],
    output: Annotated[Path, Parameter(name=("--output", "-o"), metavar="FILE")],
    design: Literal["proportional", "random", "stratified"] = "proportional",
    by: Annotated[str | None, Parameter(metavar="COLUMN")] = None,
    seed: int = 0,
    after: Annotated[Path | None, Parameter(metavar="FILE")] = None,
    overwrite: Annotated[bool, Parameter(negative="", show_default=False)] = False,
) -> None:
    """Say which pictures to count by hand, so that 'likewise estimate' can give the total of all with a true interval.

    The file has a row for each picture drawn: fill in its column 'hand', 0 where there is nothing, and leave the others
        as
    they are. The model's counts are not in it, so that they lead nobody's eye.

    Args:
        counts: The table of 'likewise count DIR --csv', or any with the columns image and count.
        number: How many pictures to draw, at least 3. 8 are a start, 15 to 30 are usual.
        output: The file to write and fill in.
        design: proportional: large and doubtful counts are likelier; the narrowest interval. random: all alike.
            stratified: at random within groups.
        by: With the stratified design: the column whose groups are sampled each, or folder. [default: groups of like
            doubt]
        seed: Of the random numbers: the same gives the same pictures.
        after: A sample that is filled in already: draw more pictures, beside those in it. The new file has both.
        overwrite: Write over a file that is there.
    """
    from likewise.estimation import sample as draw

    check_file("-o", output)
    if output.exists() and not overwrite:
        raise LikewiseError(
            f"{printable(output)} is there already, perhaps with hand counts in it; name another file, or add "
            "--overwrite"
        )
    drawn = draw(counts, number, design, seed, by=by, after=after)
    drawn.save(output)
    left = len(drawn) - len(drawn.hand)
    known = f"; {len(drawn.hand)} of its {len(drawn)} are counted already" if drawn.hand else ""
    if left > number:
        known += f"; {left - number} of {after} are not counted yet, and are among them"
    say(f"{output}: {left} pictures to count by hand ({design} design, seed {seed}){known}")
    say(f"Fill in its column 'hand', then: likewise estimate {counts} --hand {output}")
