"""Which fields display-name templates name, and that a template names a field by its new name only where it should."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from templates_store.references import Source, list_references, rename_references
from templates_store.rendering import TemplateError, Templates, check_template, render_name


def rename(text: str, old: str, new: str, *, object: str = "person", kind: str = "person") -> str:
    return rename_references(Source(object, "", "default", text), kind=kind, old=old, new=new)


@pytest.mark.parametrize(
    ("text", "renamed"),
    [
        ("{{ phone }}", "{{ tel }}"),
        ("phone {{ phone|phone }} {{ 'phone' }} {{ phone2 }}", "phone {{ tel|phone }} {{ 'phone' }} {{ phone2 }}"),
        (
            "{% if phone and not phone == 'x' %}{{phone}}{% endif %}",
            "{% if tel and not tel == 'x' %}{{tel}}{% endif %}",
        ),
        ("{{ [phone, mobile]|join(phone) }}", "{{ [tel, mobile]|join(tel) }}"),
        ("a\r\nb {{- phone ~ phone -}}", "a\nb {{- tel ~ tel -}}"),
        ("{{ company.phone }}{{ company['phone'] }}", "{{ company.phone }}{{ company['phone'] }}"),
        ("{# phone #}{{ phone if phone else '' }}", "{# phone #}{{ tel if tel else '' }}"),
    ],
)
def test_a_field_gets_its_new_name_and_nothing_else_does(text: str, renamed: str) -> None:
    assert rename(text, "phone", "tel") == renamed


def test_a_field_of_a_company_is_renamed_in_the_names_of_its_persons() -> None:
    text = """{{ phone }}{{ company . phone }}{{ company["phone"] }}{{ company.name }}"""
    expected = """{{ phone }}{{ company . tel }}{{ company["tel"] }}{{ company.name }}"""
    assert rename(text, "phone", "tel", kind="company") == expected
    # What a company is called, and not its field.
    assert rename(text, "name", "firm", kind="company") == text
    assert rename("{{ name }}", "name", "firm", object="company", kind="company") == "{{ firm }}"
    assert rename("{{ phone }}", "phone", "tel", object="company", kind="person") == "{{ phone }}"


@pytest.mark.parametrize(
    ("text", "old", "new", "kind", "place"),
    [
        ("{{ phone }}", "phone", "none", "person", (1, 4)),
        ("x\n {{ phone }}", "phone", "company", "person", (2, 5)),
        ("{{ phone }}", "phone", "self", "person", (1, 4)),
        ("{{ company.phone }}", "phone", "name", "company", (1, 11)),
        ("{{ company[('phone')] }}", "phone", "tel", "company", (1, 11)),
        ("{{ company['ph' 'one'] }}", "phone", "tel", "company", (1, 11)),
        ("{{ a }}" + "x" * 1990, "a", "a_much_longer_name", "person", None),
    ],
)
def test_what_would_mean_something_else_is_refused_with_the_place(
    text: str, old: str, new: str, kind: str, place: tuple[int, int] | None
) -> None:
    with pytest.raises(TemplateError) as refusal:
        rename(text, old, new, kind=kind)
    assert place in {None, (refusal.value.line, refusal.value.column)}


def test_references_are_listed_with_their_places() -> None:
    templates = {
        ("person", ""): Templates("{{ phone }}", "", "x\n{{ company.phone }}{{ phone|phone }}"),
        ("person", "en"): Templates("", "{{ company['phone'] }}", ""),
        ("company", ""): Templates("{{ name }} {{ phone }}", "", ""),
    }

    def places(kind: str, field: str) -> list[tuple[str, str, str, int, int]]:
        found = list_references(templates, kind=kind, field=field)
        return [(s.object, s.language, s.name, line, column) for s, line, column in found]

    assert places("person", "phone") == [("person", "", "default", 1, 4), ("person", "", "list", 2, 23)]
    assert places("company", "phone") == [
        ("person", "", "list", 2, 11),
        ("person", "en", "details", 1, 11),
        ("company", "", "default", 1, 15),
    ]
    assert places("company", "name") == [("company", "", "default", 1, 4)]
    # One that cannot be read may name anything.
    broken = {("person", ""): Templates("{{ phone", "", "")}
    assert len(list_references(broken, kind="person", field="other")) == 1


_names = st.sampled_from(["a", "b", "c", "phone"])
_terms = st.recursive(
    st.one_of(_names, st.just("'a'"), st.just("company.a")),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(" ~ ".join),
        st.tuples(inner, st.sampled_from(["upper", "first", "phone", "trim"])).map("|".join),
        st.tuples(inner, inner).map(lambda pair: f"[{pair[0]}, {pair[1]}]|join(', ')"),
    ),
    max_leaves=4,
)
_texts = st.one_of(
    _terms.map(lambda term: f"{{{{ {term} }}}}"),
    st.tuples(_terms, _terms).map(lambda pair: f"{{% if {pair[0]} %}}a{{{{ {pair[1]} }}}}{{% endif %}}"),
)


@given(st.lists(_texts, max_size=3).map("".join), _names)
def test_a_renamed_template_gives_the_same_and_there_and_back_is_the_same_text(text: str, old: str) -> None:
    check_template(text)
    values = {name: f"<{name}>" for name in ("a", "b", "c", "phone")}
    renamed = rename(text, old, "new_name")
    assert render_name(renamed, {**{k: v for k, v in values.items() if k != old}, "new_name": values[old]}) == (
        render_name(text, values)
    )
    assert rename(renamed, "new_name", old) == text
