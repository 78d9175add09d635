"""Read what the generator needs to know from syntax trees."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

Function = ast.FunctionDef | ast.AsyncFunctionDef


def member_name(item: ast.stmt) -> str:
    """The name that a statement of a class body defines; empty when there is none."""
    if isinstance(item, Function | ast.ClassDef):
        return item.name
    if isinstance(item, ast.Assign) and len(item.targets) == 1:
        target = item.targets[0]
    elif isinstance(item, ast.AnnAssign):
        target = item.target
    else:
        return ""
    return target.id if isinstance(target, ast.Name) else ""


def alias_target(item: ast.Assign) -> str | None:
    """The ``run`` of ``exec = run``."""
    return item.value.id if isinstance(item.value, ast.Name) else None


def decorators(func: Function) -> set[str]:
    return {ast.unparse(node) for node in func.decorator_list}


def argument(node: ast.expr | None, names: set[str]) -> ast.expr | None:
    """The X of an annotation like ``AsyncIterator[X]``."""
    if not isinstance(node, ast.Subscript) or ast.unparse(node.value) not in names:
        return None
    return node.slice.elts[0] if isinstance(node.slice, ast.Tuple) else node.slice


def strip_none(node: ast.expr | None) -> tuple[ast.expr | None, bool]:
    """``X | None`` without the None, and whether there was one."""
    if isinstance(node, ast.BinOp) and ast.unparse(node.right) == "None":
        return node.left, True
    return node, False


def has_yield(func: Function) -> bool:
    return any(isinstance(node, ast.Yield) for node in ast.walk(func))


class Base(NamedTuple):
    """A class with public members that others inherit."""

    path: Path
    tree: ast.Module
    node: ast.ClassDef


def bases_of(node: ast.ClassDef, bases: Mapping[str, Base]) -> list[Base]:
    """The bases of a class that have public members, and theirs, the most general first."""
    direct = [bases[name] for name in map(ast.unparse, node.bases) if name in bases]
    return [base for one in direct for base in [*bases_of(one.node, bases), one]]


def async_classes(tree: ast.Module) -> list[ast.ClassDef]:
    return [n for n in tree.body if isinstance(n, ast.ClassDef) and n.name.startswith("Async")]


def own_names(tree: ast.Module) -> list[str]:
    return [name for name in map(member_name, tree.body) if name and not name.startswith("_")]


def public_members(node: ast.ClassDef) -> list[str]:
    return [name for name in map(member_name, node.body) if name and not name.startswith("_")]
