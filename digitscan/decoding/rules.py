"""Rules across fields: a small language of sums and comparisons, read by Python's own parser and never executed.

``total == sum(items.amount)``, ``end >= start``, ``is_date(day, month, year)``, ``abs(net + tax - gross) <= 1``.
"""

from __future__ import annotations

import ast
import datetime
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

Value = Decimal | None
"""A field's number; None where it is blank or could not be read."""
Operand = Value | list[Value]
"""A field is a number, a column of a grid is a list of them."""

MAX_LENGTH = 500
"""Characters of one rule, at the most."""


class Unknown(Exception):  # noqa: N818  (no error: the rule has nothing to say)
    """A value that the rule needs is not there."""


@dataclass(frozen=True, slots=True, eq=False)
class CrossFieldRule:
    """A rule that was read.

    Attributes
    ----------
    names : tuple of str
        Fields, and grids' columns as ``grid.column``, that it speaks of.
    equates : bool
        It says that two sides are equal: few texts fulfil it by chance.
    """

    names: tuple[str, ...]
    equates: bool
    _tree: ast.expr

    @property
    def target(self) -> str:
        """The field that a rule like ``total == …`` gives; empty for other rules."""
        tree = self._tree
        plain = isinstance(tree, ast.Compare) and self.equates and len(tree.ops) == 1
        return tree.left.id if plain and isinstance(tree, ast.Compare) and isinstance(tree.left, ast.Name) else ""

    def result(self, values: Mapping[str, Operand]) -> Value:
        """What the `target` must be; None where that cannot be told."""
        if not self.target or not isinstance(self._tree, ast.Compare):
            return None
        try:
            return _number(_evaluate(self._tree.comparators[0], values))
        except (Unknown, ArithmeticError):
            return None

    def holds(self, values: Mapping[str, Operand]) -> bool | None:
        """Whether it is fulfilled; None where a value that it needs is blank."""
        try:
            return _truth(_evaluate(self._tree, values))
        except (Unknown, ArithmeticError):
            return None


_BINARY: dict[type[ast.operator], Callable[[Decimal, Decimal], Decimal]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_COMPARE: dict[type[ast.cmpop], Callable[[Decimal, Decimal], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


def _present(values: Sequence[Value]) -> list[Decimal]:
    return [v for v in values if v is not None]


def _some(values: Sequence[Value]) -> list[Decimal]:
    found = _present(values)
    if not found:
        raise Unknown
    return found


def _all(values: Sequence[Value]) -> list[Decimal]:
    found = _present(values)
    if len(found) < len(values):
        raise Unknown
    return found


def _mean(values: Sequence[Value]) -> Decimal:
    found = _some(values)
    return sum(found, Decimal()) / len(found)


def _round(values: Sequence[Value]) -> Decimal:
    number, *places = _all(values)
    return round(number, int(places[0]) if places else 0) + Decimal()


def _is_date(values: Sequence[Value]) -> Decimal:
    """Of day, month, year, or of one number DDMMYYYY."""
    numbers = [int(v) for v in _all(values)]
    if len(numbers) == 1:
        numbers = [numbers[0] // 1_000_000, numbers[0] // 10_000 % 100, numbers[0] % 10_000]
    day, month, year = numbers
    try:
        datetime.date(year if year > 99 else 2000 + year, month, day)
    except (ValueError, OverflowError):
        return Decimal(0)
    return Decimal(1)


def _days(values: Sequence[Value]) -> Decimal:
    """Day number of day, month, year, to compare dates."""
    day, month, year = (int(v) for v in _all(values))
    try:
        return Decimal(datetime.date(year if year > 99 else 2000 + year, month, day).toordinal())
    except (ValueError, OverflowError):
        raise Unknown from None


_FUNCTIONS: dict[str, tuple[int, int, Callable[[Sequence[Value]], Decimal]]] = {
    "sum": (1, 64, lambda v: sum(_some(v), Decimal())),
    "count": (1, 64, lambda v: Decimal(len(_present(v)))),
    "min": (1, 64, lambda v: min(_some(v))),
    "max": (1, 64, lambda v: max(_some(v))),
    "mean": (1, 64, _mean),
    "abs": (1, 1, lambda v: abs(_all(v)[0])),
    "round": (1, 2, _round),
    "is_date": (1, 3, _is_date),
    "days": (3, 3, _days),
}
"""Fewest and most arguments, and what is computed. Blanks count as nothing in sums, counts and means."""


def _number(value: Operand) -> Decimal:
    if isinstance(value, list) or value is None:
        raise Unknown
    return value


def _truth(value: Operand) -> bool:
    return bool(_number(value))


def _evaluate(node: ast.expr, values: Mapping[str, Operand]) -> Operand:
    if isinstance(node, ast.Constant):
        return Decimal(str(node.value))
    if isinstance(node, ast.Name | ast.Attribute):
        return values.get(_name(node))
    if isinstance(node, ast.UnaryOp):
        inner = _number(_evaluate(node.operand, values))
        return Decimal(int(not inner)) if isinstance(node.op, ast.Not) else -inner
    if isinstance(node, ast.BinOp):
        left, right = (_number(_evaluate(side, values)) for side in (node.left, node.right))
        return _BINARY[type(node.op)](left, right)
    if isinstance(node, ast.BoolOp):
        parts = (_truth(_evaluate(part, values)) for part in node.values)
        return Decimal(int(all(parts) if isinstance(node.op, ast.And) else any(parts)))
    if isinstance(node, ast.Compare):
        sides = [_number(_evaluate(side, values)) for side in (node.left, *node.comparators)]
        pairs = zip(node.ops, sides, sides[1:], strict=False)
        return Decimal(int(all(_COMPARE[type(op)](a, b) for op, a, b in pairs)))
    if isinstance(node, ast.Call):
        flat: list[Value] = []
        for argument in node.args:
            value = _evaluate(argument, values)
            flat.extend(value) if isinstance(value, list) else flat.append(value)
        return _FUNCTIONS[_name(node.func)][2](flat)
    raise Unknown


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return f"{node.value.id}.{node.attr}"
    raise ValueError("names are a field, or a grid and its column: items.amount")


def _check(node: ast.expr, names: list[str]) -> None:
    """Refuse everything that is not in the language, and collect the names."""
    if isinstance(node, ast.Constant):
        if isinstance(node.value, bool) or not isinstance(node.value, int | float):
            raise ValueError(f"{node.value!r} is no number")
    elif isinstance(node, ast.Name | ast.Attribute):
        names.append(_name(node))
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not):
        _check(node.operand, names)
    elif isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        _check(node.left, names)
        _check(node.right, names)
    elif isinstance(node, ast.BoolOp):
        for part in node.values:
            _check(part, names)
    elif isinstance(node, ast.Compare) and all(type(op) in _COMPARE for op in node.ops):
        for part in (node.left, *node.comparators):
            _check(part, names)
    elif isinstance(node, ast.Call):
        function = _name(node.func)
        if function not in _FUNCTIONS:
            raise ValueError(f"no function named {function!r}; there are {', '.join(_FUNCTIONS)}")
        fewest, most, _ = _FUNCTIONS[function]
        if node.keywords or not fewest <= len(node.args) <= most:
            many = f"{fewest} to {most}" if fewest < most else f"{most}"
            raise ValueError(f"{function} takes {many} values")
        if function == "is_date" and len(node.args) == 2:
            raise ValueError("is_date takes day, month and year, or one number DDMMYYYY")
        for part in node.args:
            _check(part, names)
    else:
        raise ValueError("write sums and comparisons of fields, such as total == sum(items.amount)")


@lru_cache(maxsize=256)
def parse_rule(expression: str) -> CrossFieldRule:
    """Read a rule.

    Raises
    ------
    ValueError
        If it is no sum or comparison of fields.
    """
    if len(expression) > MAX_LENGTH:
        raise ValueError(f"a rule has at most {MAX_LENGTH} characters")
    try:
        tree = ast.parse(expression.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise ValueError(f"cannot read rule {expression!r}") from error
    names: list[str] = []
    _check(tree, names)
    if not names:
        raise ValueError(f"rule {expression!r} speaks of no field")
    equates = isinstance(tree, ast.Compare) and all(isinstance(op, ast.Eq) for op in tree.ops)
    return CrossFieldRule(tuple(dict.fromkeys(names)), equates, tree)
