"""What a reader starts from: whether it has been touched, and the gaps (`...`) that are to be filled.

A `...` in an index is no gap: there it means all leading axes.
"""

import ast
import copy
import inspect
import textwrap


def definition(function):
    """Return the syntax tree of a function's `def`, less its docstring; None if there is none, as for a lambda."""
    try:
        module = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return None
    if not module.body or not isinstance(module.body[0], ast.FunctionDef):
        return None
    return without_docstring(module.body[0])


def without_docstring(tree):
    if ast.get_docstring(tree) is not None:
        tree.body = tree.body[1:] or [ast.Pass()]
    return tree


def says_nothing(tree):
    """Whether a `def` holds nothing but `...`, `pass`, `return None` or `raise NotImplementedError`."""

    def empty(statement):
        match statement:
            case ast.Pass() | ast.Expr(ast.Constant()) | ast.Return(None | ast.Constant(None)):
                return True
            case ast.Raise(exc):
                return exc is not None and "NotImplementedError" in ast.dump(exc)
        return False

    return all(map(empty, tree.body))


def same_code(one, other):
    """Whether two `def`s do the same by the letter; their names, comments and layout aside."""
    return [ast.dump(part) for part in (one.args, *one.body)] == [ast.dump(part) for part in (other.args, *other.body)]


def gap_paths(tree):
    """Return where the gaps of a `def` are, in reading order: of each, the steps that lead to it from the top."""

    def walk(node, path):
        if isinstance(node, ast.Constant) and node.value is ...:
            yield path
        elif isinstance(node, list):
            for number, part in enumerate(node):
                yield from walk(part, (*path, number))
        elif isinstance(node, ast.AST):
            for name, part in ast.iter_fields(node):
                if not (isinstance(node, ast.Subscript) and name == "slice"):
                    yield from walk(part, (*path, name))

    return list(walk(tree, ()))


def fill(function, expressions, tree=None):
    """Return a function with gaps filled.

    Args:
        function: the function; what it is made of is looked up in its own namespace.
        expressions: path of a gap (`gap_paths`) -> the code that goes there.
        tree: the function's `def`, if it is at hand.
    """
    tree = replaced(tree or definition(function), expressions)
    made = {}
    module = ast.fix_missing_locations(ast.Module([tree], []))
    exec(compile(module, function.__code__.co_filename, "exec"), function.__globals__, made)
    return made[tree.name]


def replaced(tree, expressions):
    """Return a copy of a `def` that has other code at some paths."""
    tree = copy.deepcopy(tree)
    for path, expression in expressions.items():
        parent, filling = at(tree, path[:-1]), ast.parse(f"({expression})", mode="eval").body
        if isinstance(path[-1], int):
            parent[path[-1]] = filling
        else:
            setattr(parent, path[-1], filling)
    return tree


def at(tree, path):
    """Return what stands at a path."""
    for step in path:
        tree = tree[step] if isinstance(step, int) else getattr(tree, step)
    return tree


def fillings(tree, given):
    """Return the code in the gaps of a `def`, {path: code}; None if it differs from the given one elsewhere too."""
    paths = gap_paths(given)
    try:
        if not same_code(replaced(tree, dict.fromkeys(paths, "...")), given):
            return None
        return {path: ast.unparse(at(tree, path)) for path in paths}
    except (AttributeError, IndexError, TypeError):  # there is no such path
        return None


def complete(attempt, given, answers):
    """Return an attempt with the gaps that are still open filled rightly; None if it cannot be told which they are.

    Args:
        attempt: the reader's function.
        given: the function with all its gaps.
        answers: what belongs in these gaps, in reading order.
    """
    tree = definition(attempt)
    asked = dict(zip(gap_paths(definition(given)), answers, strict=True))
    still_open = gap_paths(tree)
    if not set(still_open) <= asked.keys():
        return None
    return fill(attempt, {path: asked[path] for path in still_open}, tree)
