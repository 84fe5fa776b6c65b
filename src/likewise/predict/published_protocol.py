"""Counting as a published evaluation did, for numbers that are to be compared with published ones."""

from __future__ import annotations

import copy
from dataclasses import replace

from likewise.errors import LikewiseError, nearest
from likewise.inference import EvalProtocol
from likewise.predict.counter import Counter
from likewise.predict.named import NamedCounter


def under_protocol(counter: Counter | NamedCounter, protocol: str) -> Counter:
    """A counter that reads pictures, and is measured, as in the published evaluation of its network on a set.

    Args:
        counter: its network's ``protocols`` tell, by set, what is done otherwise then.
        protocol: the set, such as "fsc147" or "carpk".

    Raises:
        LikewiseError: the network has no such protocol; those that it has are named.
    """
    if isinstance(counter, NamedCounter):
        raise _without(counter)
    followed = find_protocol(counter, protocol)
    network = copy.copy(counter.model)  # the same weights, told otherwise
    network.config = replace(network.config, **followed.config)  # type: ignore[type-var]  # a dataclass
    return Counter(
        network, counter.name, device=counter.device, inference=replace(counter.inference, protocol=protocol)
    )


def find_protocol(counter: Counter, protocol: str) -> EvalProtocol:
    """What the published evaluation of a counter's network on a set does otherwise.

    Raises:
        LikewiseError: as `under_protocol`.
    """
    known = counter.model.protocols
    if not known:
        raise _without(counter)
    if protocol not in known:
        raise LikewiseError(
            f"{counter.name} has no protocol {protocol!r}{nearest(protocol, known)}; it has {', '.join(known)}"
        )
    return known[protocol]


def _without(counter: Counter | NamedCounter) -> LikewiseError:
    return LikewiseError(f"{counter.name} has no published protocol; expected a model that has, such as vlcounter")
