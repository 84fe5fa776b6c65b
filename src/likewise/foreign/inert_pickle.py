"""The inert reader of pickles: follows the program that a pickle is, and calls nothing that it names.

Stack, marks, memo and containers are this module's own. Functions by which torch rebuilds tensors are known by name and
done here, as descriptions of what lies where; every other class or function is an `Unknown`, which takes construction,
items and state and keeps none of it.
"""

from __future__ import annotations

import pickletools
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from likewise.errors import LikewiseError

#: Steps of a pickle; a network of a hundred thousand tensors takes about half as many.
MAX_STEPS = 4_000_000
#: Axes of a tensor.
MAX_AXES = 8
DTYPES = {
    "Float": torch.float32,
    "Double": torch.float64,
    "Half": torch.float16,
    "BFloat16": torch.bfloat16,
    "Long": torch.int64,
    "Int": torch.int32,
    "Short": torch.int16,
    "Char": torch.int8,
    "Byte": torch.uint8,
    "Bool": torch.bool,
    "ComplexFloat": torch.complex64,
    "ComplexDouble": torch.complex128,
}


class Unknown:
    """Stands for anything a file names that is no tensor: it is never called and keeps nothing."""

    __slots__ = ()


class _Bytes(Protocol):
    """Where a pickle is read from: reading never takes more memory than there are bytes."""

    def read(self, n: int = ..., /) -> bytes: ...

    def readline(self) -> bytes: ...


@dataclass(frozen=True, eq=False)
class Storage:
    """A storage that a pickle points at: its name in the file, and of how many numbers it claims to be."""

    key: str
    dtype: torch.dtype
    numel: int


@dataclass(frozen=True, eq=False)
class View:
    """A tensor that a pickle describes: a part of a storage."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class _Known:
    """A class or function that the reader does itself, on the arguments in the file."""

    make: Callable[[tuple[Any, ...]], Any]


@dataclass(frozen=True, eq=False)
class _Kind:
    """A class of storages."""

    dtype: torch.dtype


class Machine:
    """Follows one pickle: stack, marks, memo and containers, and nothing else.

    Attributes:
        refused: names that were met and are not known.
        storages: those that were pointed at, by name.
    """

    def __init__(self) -> None:
        self.refused: dict[str, None] = {}  # an ordered set
        self.storages: dict[str, Storage] = {}
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        self._left = MAX_STEPS

    def run(self, file: _Bytes) -> Any:
        """What a pickle leaves on its stack; the file stands behind it then."""
        for step, value, _ in pickletools.genops(file):  # type: ignore[arg-type]  # which asks for no more than `_Bytes` has
            self._spend(1)
            if step.name in _PUSHED:
                self._stack.append(value)
            elif step.name in _MADE:
                self._stack.append(_MADE[step.name]())
            elif step.name in _DONE:
                _DONE[step.name](self, value)
            elif step.name not in ("PROTO", "FRAME", "STOP"):
                raise LikewiseError(f"it asks for {step.name}, which no file of torch.save does")
        return self._stack.pop()

    def _spend(self, steps: int) -> None:
        self._left -= steps
        if self._left < 0:
            raise LikewiseError(f"its pickle has more than {MAX_STEPS} steps")

    def _since_mark(self) -> list[Any]:
        at = self._marks.pop()
        found, self._stack[at:] = self._stack[at:], []
        return found

    def _top(self) -> Any:
        return self._stack[-1]

    def mark(self, _: Any) -> None:
        """MARK: what comes after it belongs together."""
        self._marks.append(len(self._stack))

    def pop(self, _: Any) -> None:
        """POP: the last value, or the last mark, is not wanted."""
        if self._marks and self._marks[-1] == len(self._stack):
            self._marks.pop()
        else:
            self._stack.pop()

    def pop_mark(self, _: Any) -> None:
        """POP_MARK: nor is what came since the last mark."""
        self._since_mark()

    def dup(self, _: Any) -> None:
        """DUP: the last value again."""
        self._stack.append(self._top())

    def put(self, index: Any) -> None:
        """PUT, MEMOIZE: keep the last value."""
        self._memo[len(self._memo) if index is None else int(index)] = self._top()

    def get(self, index: Any) -> None:
        """GET: a kept value."""
        self._stack.append(self._memo[int(index)])

    def tuple_of(self, count: int | None) -> None:
        """TUPLE1, ..., TUPLE: the last values as a tuple; None: those since the mark."""
        if count is None:
            self._stack.append(tuple(self._since_mark()))
        else:
            found = tuple(self._stack[-count:])
            del self._stack[-count:]
            self._stack.append(found)

    def list_of(self, _: Any) -> None:
        """LIST: what came since the mark."""
        self._stack.append(self._since_mark())

    def dict_of(self, _: Any) -> None:
        """DICT: the pairs since the mark."""
        values = self._since_mark()
        self._stack.append(_named(values[::2], values[1::2]))

    def frozen_set(self, _: Any) -> None:
        """FROZENSET: what came since the mark, of which nothing is kept."""
        self._since_mark()
        self._stack.append(Unknown())

    def append(self, _: Any) -> None:
        """APPEND: one more value of a list; any other thing takes it and does nothing."""
        value = self._stack.pop()
        self._extend([value])

    def appends(self, _: Any) -> None:
        """APPENDS, ADDITEMS: those since the mark."""
        self._extend(self._since_mark())

    def setitem(self, _: Any) -> None:
        """SETITEM: one more pair of a dictionary; any other thing takes it and does nothing."""
        value, name = self._stack.pop(), self._stack.pop()
        self._update([name], [value])

    def setitems(self, _: Any) -> None:
        """SETITEMS: the pairs since the mark."""
        values = self._since_mark()
        self._update(values[::2], values[1::2])

    def build(self, _: Any) -> None:
        """BUILD: a state, which nothing takes."""
        self._stack.pop()
        self._top()

    def name(self, value: str) -> None:
        """GLOBAL: "module name"."""
        self._stack.append(self._found(value))

    def stack_name(self, _: Any) -> None:
        """STACK_GLOBAL: the module and the name are on the stack."""
        name, module = self._stack.pop(), self._stack.pop()
        self._stack.append(
            self._found(f"{module} {name}" if isinstance(module, str) and isinstance(name, str) else "?")
        )

    def extension(self, code: int) -> None:
        """EXT1, ...: a name that only the writer's process knows."""
        self._stack.append(self._found(f"extension {code}"))

    def reduce(self, _: Any) -> None:
        """REDUCE, NEWOBJ: what a class or function makes of its arguments."""
        values, named = self._stack.pop(), self._stack.pop()
        self._stack.append(self._made(named, values))

    def reduce_named(self, _: Any) -> None:
        """NEWOBJ_EX: the same, with arguments by name."""
        self._stack.pop()
        self.reduce(None)

    def obj(self, _: Any) -> None:
        """OBJ: the same, class and arguments since the mark."""
        named, *values = self._since_mark()
        self._stack.append(self._made(named, tuple(values)))

    def inst(self, value: str) -> None:
        """INST: the same, the class by name."""
        self._stack.append(self._made(self._found(value), tuple(self._since_mark())))

    def pointed(self, _: Any) -> None:
        """BINPERSID: a storage in the same file."""
        self._stack.append(self._storage(self._stack.pop()))

    def _found(self, name: str) -> Any:
        module, _, kind = name.partition(" ")
        dtype = DTYPES.get(kind.removesuffix("Storage")) if kind.endswith("Storage") else None
        if dtype is not None and module in ("torch", "torch.cuda"):
            return _Kind(dtype)
        if name in _KNOWN:
            return _Known(_KNOWN[name])
        self.refused[".".join(name.split(" "))] = None
        return Unknown()

    def _made(self, named: Any, values: Any) -> Any:
        if not isinstance(named, _Known) or not isinstance(values, tuple):
            return Unknown()
        if values and isinstance(values[0], list):
            self._spend(len(values[0]))  # the same long list may be asked for again and again
        return named.make(values)

    def _storage(self, pointer: Any) -> Any:
        if not isinstance(pointer, tuple) or len(pointer) < 5 or pointer[0] != "storage":
            raise LikewiseError("it points at something that is no storage")
        _, kind, key, _, numel, *views = pointer
        if not isinstance(kind, _Kind):
            return Unknown()
        if not isinstance(key, str) or not re.fullmatch(r"[0-9]{1,20}", key, re.ASCII) or any(views):
            raise LikewiseError(f"it points at a storage {key!r:.40}, which is no part of it")
        if not _is_count(numel):
            raise LikewiseError(f"storage {key} claims {numel!r:.40} numbers")
        storage = self.storages.setdefault(key, Storage(key, kind.dtype, numel))
        if (storage.dtype, storage.numel) != (kind.dtype, numel):
            raise LikewiseError(f"storage {key} is pointed at as two different ones")
        return storage

    def _extend(self, values: list[Any]) -> None:
        if isinstance(self._top(), list):
            self._top().extend(values)

    def _update(self, names: list[Any], values: list[Any]) -> None:
        if isinstance(self._top(), dict):
            self._top().update(_named(names, values))


def _named(names: Iterable[Any], values: Iterable[Any]) -> dict[str, Any]:
    """Those pairs whose first is a name: nothing else is ever hashed, for that can be made to take for ever."""
    return {name: value for name, value in zip(names, values, strict=True) if isinstance(name, str)}


def _view(values: tuple[Any, ...]) -> Any:
    """Of ``_rebuild_tensor_v2(storage, offset, size, stride, ...)``."""
    storage, offset, size, stride = values[:4]
    if not isinstance(storage, Storage):
        return Unknown()
    shaped = isinstance(size, tuple) and isinstance(stride, tuple) and len(size) == len(stride) <= MAX_AXES
    if not shaped or not _is_count(offset) or not all(map(_is_count, (*size, *stride))):
        raise LikewiseError("it describes a tensor of no possible shape")
    return View(storage, offset, size, stride)


def _first(values: tuple[Any, ...]) -> Any:
    """Of ``_rebuild_parameter(tensor, ...)``: the tensor."""
    return values[0]


def _of_type(values: tuple[Any, ...]) -> Any:
    """Of ``_rebuild_from_type_v2(function, type, arguments, state)``: what the function makes of the arguments."""
    function, _, arguments = values[:3]
    rebuilds = isinstance(function, _Known) and function.make is _view and isinstance(arguments, tuple)
    return function.make(arguments) if rebuilds else Unknown()


def _dict(values: tuple[Any, ...]) -> dict[str, Any]:
    """Of ``OrderedDict(pairs)``."""
    pairs = values[0] if values and isinstance(values[0], list) else []
    whole = [pair for pair in pairs if isinstance(pair, list | tuple) and len(pair) == 2]
    return _named([pair[0] for pair in whole], [pair[1] for pair in whole])


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**62


_KNOWN: dict[str, Callable[[tuple[Any, ...]], Any]] = {
    "torch._utils _rebuild_tensor": _view,
    "torch._utils _rebuild_tensor_v2": _view,
    "torch._utils _rebuild_parameter": _first,
    "torch._utils _rebuild_parameter_with_state": _first,
    "torch._tensor _rebuild_from_type_v2": _of_type,
    "collections OrderedDict": _dict,
}
#: Steps whose value is in the pickle itself.
_PUSHED = frozenset(
    [
        "INT",
        "BININT",
        "BININT1",
        "BININT2",
        "LONG",
        "LONG1",
        "LONG4",
        "STRING",
        "BINSTRING",
        "SHORT_BINSTRING",
        "BINBYTES",
        "SHORT_BINBYTES",
        "BINBYTES8",
        "BYTEARRAY8",
        "UNICODE",
        "SHORT_BINUNICODE",
        "BINUNICODE",
        "BINUNICODE8",
        "FLOAT",
        "BINFLOAT",
    ]
)
_MADE: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_SET": Unknown,
}
_DONE: dict[str, Callable[[Machine, Any], None]] = {
    "MARK": Machine.mark,
    "POP": Machine.pop,
    "POP_MARK": Machine.pop_mark,
    "DUP": Machine.dup,
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), Machine.put),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), Machine.get),
    "TUPLE": lambda machine, _: machine.tuple_of(None),
    "TUPLE1": lambda machine, _: machine.tuple_of(1),
    "TUPLE2": lambda machine, _: machine.tuple_of(2),
    "TUPLE3": lambda machine, _: machine.tuple_of(3),
    "LIST": Machine.list_of,
    "DICT": Machine.dict_of,
    "FROZENSET": Machine.frozen_set,
    "APPEND": Machine.append,
    **dict.fromkeys(("APPENDS", "ADDITEMS"), Machine.appends),
    "SETITEM": Machine.setitem,
    "SETITEMS": Machine.setitems,
    "BUILD": Machine.build,
    "GLOBAL": Machine.name,
    "STACK_GLOBAL": Machine.stack_name,
    **dict.fromkeys(("EXT1", "EXT2", "EXT4"), Machine.extension),
    **dict.fromkeys(("REDUCE", "NEWOBJ"), Machine.reduce),
    "NEWOBJ_EX": Machine.reduce_named,
    "OBJ": Machine.obj,
    "INST": Machine.inst,
    "BINPERSID": Machine.pointed,
}
