"""Counting as a published evaluation did, for numbers that are to be compared with published ones."""

from __future__ import annotations

import copy
from dataclasses import replace

from likewise.errors import LikewiseError, nearest
from likewise.predict.counter import Counter
from likewise.predict.named import NamedCounter


def under_protocol(counter: Counter | NamedCounter, protocol: str) -> Counter:
    """A counter that reads pictures as in the published evaluation of its network on a set.

    Args:
        counter: its network's ``protocols`` tell, by set, which numbers of its config are others then.
        protocol: the set, such as "fsc147" or "carpk".

    Raises:
        LikewiseError: the network has no such protocol; those that it has are named.
    """
    if isinstance(counter, NamedCounter) or not counter.model.protocols:
        raise LikewiseError(f"{counter.name} has no published protocol; expected a model that has, such as vlcounter")
    known = counter.model.protocols
    if protocol not in known:
        raise LikewiseError(
            f"{counter.name} has no protocol {protocol!r}{nearest(protocol, known)}; it has {', '.join(known)}"
        )
    network = copy.copy(counter.model)  # the same weights, told otherwise
    network.config = replace(network.config, **known[protocol])  # type: ignore[type-var]  # a dataclass
    return Counter(network, counter.name, device=counter.device, inference=counter.inference)
