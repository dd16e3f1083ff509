"""`rule`: the exercise sheet of a rule, with the stub to paste, what each field of its view means, and an example to try it on.

Everything is read off the rule's signature, the docstrings of rule and view, and the words in `raftedu.checker.fields`; what the reference
answers is not in it.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum
from html import escape
from typing import Any, get_args, get_type_hints

from raftedu.checker.fields import FIELDS, QUESTIONS, Field
from raftedu.core.guard import RETURNS, TRUTH
from raftedu.core.rules import RULES, rule_names
from raftedu.core.types import Entry

__all__ = ["RuleNameError", "Sheet", "near_name", "no_such_rule", "rule"]

WIDTH = 100


class RuleNameError(LookupError):
    """There is no rule of that name; the message lists those that there are. In a notebook it is one line without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [f"RuleNameError: {self}"]


def rule(name: str = "") -> Sheet:
    """Return the exercise sheet of a rule: shown in a cell, it is the stub to paste, explained.

    Parameters
    ----------
    name
        Such as ``"grant_vote"``.

    Raises
    ------
    RuleNameError
        There is no such rule; the message lists all of them.

    Examples
    --------
    >>> raftedu_rule = rule("reply_term")
    >>> raftedu_rule.fields["request_term"]
    'the term of the request that is answered'
    >>> raftedu_rule.example(term=5)
    ReplyTermView(term=5, request_term=2)
    """
    if name not in rule_names():
        raise RuleNameError(no_such_rule(name))
    return Sheet(name)


def no_such_rule(name: str) -> str:
    """Return the line that tells that there is no such rule, what may be meant, and which there are."""
    near = near_name(name)
    meant = f"; do you mean {near!r}?" if near else "."
    what = f"there is no rule {name!r}{meant}" if name else "say which rule, as in rule('grant_vote')."
    return f"{what} The rules are: {', '.join(rule_names())}"


def near_name(name: str, cutoff: float = 0.6) -> str | None:
    """Return the rule whose name this may be meant to be, ``None`` if none is like it; case and underscores do not count."""
    plain = {known.replace("_", ""): known for known in rule_names()}
    near = get_close_matches(str(name).replace("_", "").lower(), plain, n=1, cutoff=cutoff)
    return plain[near[0]] if near else None


@dataclass(frozen=True, repr=False)
class Sheet:
    """The exercise sheet of a rule; see `rule`."""

    name: str

    # ---- what there is to know of it

    @property
    def sees(self) -> type[Any]:
        """The class of the view that the rule is given."""
        view: type[Any] = get_type_hints(getattr(RULES, self.name))["view"]
        return view

    @property
    def question(self) -> str:
        """What the rule decides, as a question."""
        return QUESTIONS[self.name]

    @property
    def returns(self) -> str:
        """What the rule has to return, in words."""
        return RETURNS.get(self.name, TRUTH)[0]

    @property
    def read(self) -> str:
        """Where to read about it: sections of the paper, lease rules and points of care in docs/protocol.md."""
        doc = getattr(RULES, self.name).__doc__ or ""
        paper, ours = re.findall(r"§[\d.]*\d", doc), re.findall(r"\b[RU]\d+\b", doc)
        told = [f"the Raft paper {', '.join(dict.fromkeys(paper))}"] if paper else []
        told += [f"docs/protocol.md {', '.join(dict.fromkeys(ours))}"] if ours else []
        return "; ".join(told)

    @property
    def fields(self) -> dict[str, str]:
        """What each field of the view means."""
        own = _told(self.sees.__doc__ or "")
        return {name: _field(self.sees, name).means or own[name] for name in self.sees._fields}

    def example(self, **changed: Any) -> Any:
        """Return a view to try the rule on; fields that are named are as you say, e.g. ``example(term=7)``."""
        strangers = [name for name in changed if name not in self.sees._fields]
        if strangers:
            raise TypeError(f"{self.sees.__name__} has no field {strangers[0]!r}; it has: {', '.join(self.sees._fields)}")
        return self.sees(**{name: changed.get(name, _field(self.sees, name).example) for name in self.sees._fields})

    # ---- the stub

    @property
    def stub(self) -> str:
        """The text to paste: imports, the function with its question, and a comment for each field."""
        answer = _type_words(getattr(RULES, self.name).__annotations__["return"])
        lines = [*self._imports(), "", "", f"def {self.name}(view: {self.sees.__name__}) -> {answer}:"]
        lines += [f'    """{self.question}', "", f"    Returns {self.returns}.", f"    Read: {self.read}.", '    """', "    # It sees:"]
        lines += self._comments({f"view.{name}": means for name, means in self.fields.items()})
        lines += self._comments({kind.__name__: told for kind in self._records("view", "return") if (told := _record(kind))})
        lines += [f'    raise NotImplementedError("{self.name} is not written yet")', ""]
        return "\n".join(lines)

    def _imports(self) -> list[str]:
        results = self._records("return")
        of_views = sorted({self.sees.__name__, *(kind.__name__ for kind in results if kind is not Entry)})
        of_types = sorted({"Entry" for kind in results if kind is Entry} | {"Role" for kind in results if "role" in kind._fields})
        named = {"types": of_types, "views": of_views}
        return [f"from raftedu.core.{module} import {', '.join(names)}" for module, names in named.items() if names]

    def _records(self, *where: str) -> list[type[Any]]:
        """Return the named tuples that occur in the fields of the view (``"view"``) or in the answer (``"return"``)."""
        hints = {"view": list(get_type_hints(self.sees).values()), "return": [get_type_hints(getattr(RULES, self.name))["return"]]}
        kinds = [kind for place in where for hint in hints[place] for kind in (hint, *_parts(hint))]
        return list(dict.fromkeys(kind for kind in kinds if hasattr(kind, "_fields")))

    @staticmethod
    def _comments(told: dict[str, str]) -> list[str]:
        wide = max(map(len, told), default=0)
        lines = []
        for name, means in told.items():
            first, *more = textwrap.wrap(means, WIDTH - wide)
            lines += [f"    #   {name:{wide}}  {first}", *(f"    #   {'':{wide}}  {line}" for line in more)]
        return lines

    @property
    def attempts(self) -> str:
        """How to try the rule, and then to check it, as lines of Python."""
        view = self.example()
        plain = [name for name in self.sees._fields if name != "node" and isinstance(getattr(view, name), int | float | None)]
        shown = f"{plain[0]}={getattr(view, plain[0])!r}" if plain else ""
        return "\n".join([
            f'view = raftedu.rule("{self.name}").example({shown})   # name any of the fields; the others have examples',
            f"{self.name}(view)",
            f"raftedu.check({self.name})",
        ])  # fmt: skip

    def __repr__(self) -> str:
        return f"{self.stub}\n\n# Fill it in, then try it, and have it checked:\n" + textwrap.indent(self.attempts, "#   ")

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td style='text-align:left'><code>view.{escape(name)}</code></td><td style='text-align:left'>{escape(means)}</td>"
            f"<td style='text-align:left'><code>{escape(_python(getattr(self.example(), name)))}</code></td></tr>"
            for name, means in self.fields.items()
        )
        head = "".join(f"<th style='text-align:left'>{title}</th>" for title in ("it sees", "which is", "for example"))
        box = "padding:0.7em 1em;border-left:3px solid #888;overflow-x:auto;text-align:left;font-family:monospace;white-space:pre"
        return (
            f"<div><p><b><code>{self.name}</code></b> &nbsp; {escape(self.question)}</p>"
            f"<p>Returns {escape(self.returns)}. Read {escape(self.read)}.</p>"
            f"<table><tr>{head}</tr>{rows}</table>"
            f"<p>To paste and fill in:</p><pre style='{box}'>{escape(self.stub)}</pre>"
            f"<p>Then:</p><pre style='{box}'>{escape(self.attempts)}</pre></div>"
        )


# ---- reading docstrings and signatures


def _field(view: type[Any], name: str) -> Field:
    return FIELDS.get(f"{view.__name__}.{name}") or FIELDS[name]


_STATEMENT = re.compile(r"(?:^|(?<=[.;:] ))``(\w+)``(?: and ``(\w+)``)?(?:: | is | are )(.+?)(?=\. |\.$|; ``)")


def _told(doc: str) -> dict[str, str]:
    """Return what a view's docstring says of its fields: each statement that begins with the name of one, or of two."""
    text = " ".join(doc.split())
    return {name: _plain(said) for one, two, said in _STATEMENT.findall(text) for name in (one, two) if name}


def _plain(text: str) -> str:
    return re.sub(r"``|\*(?=\w)|(?<=\w)\*", "", text)


def _record(kind: type[Any]) -> str:
    """Return what a named tuple is, and for one that a view holds also how it is put together: of an answer, the guard says that."""
    said = _plain(" ".join((kind.__doc__ or "").split()))
    answer = re.match(r"What `\w+` returns[.:]? ?", said)
    return said[answer.end() :] if answer else f"({', '.join(kind._fields)}) {said}"


def _type_words(annotation: str) -> str:
    """Return a return annotation as a student may paste it: without the alias of our module, and numbers as what they are."""
    words = annotation.replace("v.", "")
    for alias, plain in (("Seconds", "float"), ("Index", "int"), ("Term", "int")):
        words = re.sub(rf"\b{alias}\b", plain, words)
    return words


def _parts(hint: Any) -> list[Any]:
    """Return all that a type is put together of."""
    return [part for inner in get_args(hint) for part in (inner, *_parts(inner))]


def _python(value: Any) -> str:
    """Return a value as Python that can be pasted; the words of an enum are as good as its name."""
    if isinstance(value, Enum):
        return repr(value.value)
    return repr(value)
