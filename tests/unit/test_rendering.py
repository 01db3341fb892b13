"""Templates become payloads: types, spelling, text, missing values, omitted keys, and the place of every error."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning_hub.model.errors import TemplateError
from learning_hub.model.json_values import content_hash, read_json
from learning_hub.model.template import TemplateChoice, choose_template
from learning_hub.rendering.compiler import compile_templates
from learning_hub.rendering.scope import complete_scope, write_scope

DATA = """{
  ":ActivityId": "A0099999", "Course Name": "Reduction of {{ pain }}", "Granted Units": "1.30", "a.b": 5,
  "units": 1.30, "power": 1e2, "yes": true, "none": null, "lines": "x\\r\\ny\\rz\\n", "blank": " ",
  "object": {"z": 1.50, "a": [true, null]}, "list": [1, 2.50, "c"], "empty": ""
}"""

IN_SCOPE = "in scope are event, data, category, participant, subscription, program"
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
NUMBERS = st.from_regex(r"-?(0|[1-9][0-9]{0,20})\.[0-9]{1,20}([eE][+-]?[0-9]{1,2})?", fullmatch=True)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=15,
)


def scope_of(data: str, **event: Any) -> dict[str, Any]:
    scope = write_scope(
        event,
        participant_id=None,
        subscription_id="imis",
        subscription_name="To iMIS",
        program_id="NURSES",
        program_name="Nurses",
    )
    opened = read_json(scope)
    opened["event"]["PublisherEventData"] = read_json(data)
    return complete_scope(opened)


def render(template: Any, data: str = DATA, **event: Any) -> Any:
    """The payload of a template, or of a leaf under the key x, as JSON text."""
    document = template if isinstance(template, dict) else {"x": template}
    compiled = compile_templates(json.dumps({"_default": document}))
    _, payload = compiled.render(None, scope_of(data, **event), "America/New_York")
    return payload.decode()


def error_of(leaf: str, data: str = DATA) -> TemplateError:
    with pytest.raises(TemplateError) as caught:
        render(leaf, data)
    return caught.value


def errors_of(templates: str) -> list[tuple[str, str]]:
    return [(error.place, error.message) for error in compile_templates(templates).errors]


@pytest.mark.parametrize(
    ("leaf", "value"),
    [
        ("{{ data.units }}", "1.30"),
        ("{{data.power}}", "1e2"),
        ("{{ data.yes }}", "true"),
        ("{{ data.none }}", "null"),
        ("{{ data.object }}", '{"z":1.50,"a":[true,null]}'),
        ("{{ data.list }}", '[1,2.50,"c"]'),
        ("{{ data['a.b'] }}", "5"),
        ("{{ data.list[1] }}", "2.50"),
        ("{{ 1.50 }}", "1.50"),
        ("{{- data.units -}}", "1.30"),
    ],
)
def test_a_leaf_that_is_one_expression_keeps_its_type(leaf: str, value: str) -> None:
    """A leaf that is one expression keeps the type of its value, and numbers keep their spelling."""
    assert render(leaf) == f'{{"x":{value}}}'


@pytest.mark.parametrize(
    ("leaf", "text"),
    [
        ("Units: {{ data.units }}", "Units: 1.30"),
        (" {{ data.power }}", " 1e2"),
        ("{{ data.yes }}{{ data.none }}", "true"),
        ("{{ data.object }}!", '{"z":1.50,"a":[true,null]}!'),
        ("{{ data.list }}{{ data.list }}", '[1,2.50,"c"][1,2.50,"c"]'),
        ("{{ data[':ActivityId'] }}-{{ data['a.b'] }}", "A0099999-5"),
        ("{% if data.yes %}{{ data.units }}{% endif %}", "1.30"),
    ],
)
def test_any_other_leaf_is_text(leaf: str, text: str) -> None:
    """Inside text null is empty, numbers keep their spelling, and objects and lists are JSON."""
    assert json.loads(render(leaf)) == {"x": text}


def test_what_is_no_string_and_every_key_is_literal() -> None:
    """Numbers, booleans, nulls and keys of a template appear in the payload unchanged."""
    template: dict[str, Any] = {"{{ data.units }}": 1.5, "t": True, "n": None, "e": {}, "l": [1, "{{ data.units }}"]}

    assert render(template) == '{"{{ data.units }}":1.5,"t":true,"n":null,"e":{},"l":[1,1.30]}'


def test_line_ends_survive() -> None:
    """CR, LF and CRLF from data, template and capture appear in the payload unchanged."""
    assert json.loads(render("{{ data.lines }}")) == {"x": "x\r\ny\rz\n"}
    assert json.loads(render("a\r\n{{ data.lines }}\r")) == {"x": "a\r\nx\r\ny\rz\n\r"}
    assert json.loads(render("{% capture c %}\r\n{{ data.lines }}{% endcapture %}{{ c }}")) == {"x": "\r\nx\r\ny\rz\n"}


@given(TEXTS | st.sampled_from(["{{ data }}", "{% assign x = 1 %}", "}}", "{%", '"}']))
def test_data_is_never_read_as_liquid(text: str) -> None:
    """Data with braces or any other text is not rendered again, alone or inside text."""
    data = json.dumps({"x": text})

    assert json.loads(render("{{ data.x }}", data)) == {"x": text}
    assert json.loads(render("a{{ data.x }}b", data)) == {"x": f"a{text}b"}


@given(JSON_VALUES)
def test_any_data_comes_through_whole(value: Any) -> None:
    """`{{ data }}` is equal to the data whatever it is, and inside text it is its JSON."""
    data = json.dumps({"any": value})

    assert content_hash(read_json(render("{{ data }}", data))["x"]) == content_hash(read_json(data))
    assert json.loads(json.loads(render("{{ data }} ", data))["x"]) == json.loads(data)


@given(NUMBERS)
def test_any_number_keeps_its_spelling(spelling: str) -> None:
    """A number keeps its spelling to the character, as a value and inside text."""
    data = f'{{"x":{spelling}}}'

    assert render("{{ data.x }}", data) == data
    assert render("{{ data.x }} h", data) == f'{{"x":"{spelling} h"}}'


@given(st.dictionaries(TEXTS, TEXTS, min_size=1, max_size=3))
def test_any_key_is_a_key_of_the_payload(template: dict[str, str]) -> None:
    """A template with any keys and texts has an error, or gives JSON with the same keys."""
    compiled = compile_templates(json.dumps({"_default": template}))

    if not compiled.errors:
        try:
            _, payload = compiled.render(None, scope_of("{}"), None)
        except TemplateError:
            return
        assert list(json.loads(payload)) == list(template)


def test_what_is_in_scope() -> None:
    """The event by its fields, its data, category, participant, subscription and Program are in scope."""
    template = {
        "event": "{{ event.EventId }} {{ event.Revision }} {{ event.PublisherEventData.units }}",
        "category": "{{ category.value }}/{{ event.PublisherEventCategory.value }}",
        "label": "{{ category.label }}",
        "end": "{{ event.EventEndUtc }}",
        "participant": "{{ participant.Id }}",
        "subscription": "{{ subscription.Id }} {{ subscription.Name }}",
        "program": "{{ program.Id }} {{ program.Name }}",
    }

    payload = json.loads(render(template, EventId="E:1", Revision=2, PublisherEventCategory={"value": "ABC123"}))

    assert payload == {
        "event": "E:1 2 1.30",
        "category": "ABC123/ABC123",
        "label": None,
        "end": None,
        "participant": None,
        "subscription": "imis To iMIS",
        "program": "NURSES Nurses",
    }


@pytest.mark.parametrize(
    ("leaf", "name"),
    [
        ("{{ data['Nope'] }}", "data.Nope"),
        ("{{ data['No Such'] }}", "data['No Such']"),
        ("x{{ data.nope.deeper }}", "data.nope"),
        ("{{ data.object.nope }}", "data.object.nope"),
        ("{{ data.none.nope }}", "data.none.nope"),
        ("{{ data.list[7] }}", "data.list[7]"),
        ("{{ data.size }}", "data.size"),
        ("{{ data.first }}", "data.first"),
        ("{{ category.value }}", "category.value"),
        ("{{ event.Nope }}", "event.Nope"),
        ("{{ data.nope | upcase }}", "data.nope"),
        ("{{ 'a' | append: data.nope }}", "data.nope"),
        ("{{ data.list | slice: 0, data.nope }}", "data.nope"),
        ("{{ data.nope | date }}", "data.nope"),
        ("{{ data.nope | must_have }}", "data.nope"),
        ("{{ data.nope | decimal | must_have | default: 1 }}", "data.nope"),
        ("{{ data.nope | decimal | plus: 1 }}", "data.nope"),
        ("{{ data.nope | blank_to_null | text: 5 }}", "data.nope"),
        ("a {{ data.nope | imis_datetime }}", "data.nope"),
        ("{{ data.units | decimal: data.nope | default: 1 }}", "data.nope"),
        ("{{ data.nope | blank_to_null }}", "data.nope"),
        ("{{ data.nope | default: data.neither }}", "data.neither"),
        ("{{ data[data.nope] }}", "data.nope"),
        ("{% assign x = data.nope %}{{ x.y }}", "data.nope"),
        ("{% for x in data.nope %}{% endfor %}", "data.nope"),
        ("{% for x in (1..data.nope) %}{% endfor %}", "data.nope"),
        ("{% if data.nope == 'x' %}{% endif %}", "data.nope"),
        ("{% if 3 < data.nope %}{% endif %}", "data.nope"),
        ("{% if data.nope contains 'x' %}{% endif %}", "data.nope"),
        ("{% case data.nope %}{% when 1 %}{% endcase %}", "data.nope"),
        ("{% echo data.nope %}", "data.nope"),
        ("{% cycle data.nope %}", "data.nope"),
    ],
)
def test_a_missing_value_is_an_error_with_its_name_and_place(leaf: str, name: str) -> None:
    """The use of a missing value, at any depth and in any way, is an error with its name and place."""
    error = error_of(leaf)

    assert (error.message, error.place) == (f"{name} is missing", "_default.x")


@pytest.mark.parametrize(
    ("leaf", "value"),
    [
        ("{{ data.nope | default: 'd' }}", "d"),
        ("{{ data.nope.deeper | default: 7 }}", 7),
        ("{{ nope | default: 7 }}", 7),
        ("{{ data.nope | default: data.neither | default: nil }}", None),
        ("{{ category.value | default: 'none' }}", "none"),
        ("{{ data.none | default: 'd' }}", "d"),
        ("{{ data.empty2 | default: '' | upcase }}", ""),
    ],
)
def test_default_speaks_for_what_is_missing(leaf: str, value: Any) -> None:
    """`default` replaces a missing value."""
    assert json.loads(render(leaf)) == {"x": value}


@pytest.mark.parametrize(
    "name",
    ["decimal", "integer", "boolean", "text: 80", "date", "in_zone: 'UTC'", "imis_datetime", "blank_to_null"],
)
def test_default_may_come_after_typed_filters(name: str) -> None:
    """A typed filter passes on a missing value, and a later `default` replaces it."""
    assert json.loads(render(f"{{{{ data.nope | {name} | default: 0 }}}}")) == {"x": 0}
    assert json.loads(render(f"{{{{ data.nope | {name} | default: nil }}}}")) == {"x": None}


@pytest.mark.parametrize(
    ("leaf", "text"),
    [
        ("{% if data.nope %}a{% else %}b{% endif %}", "b"),
        ("{% unless data.nope.deeper %}b{% endunless %}", "b"),
        ("{% if data.nope and data.nope > 3 %}a{% endif %}b", "b"),
        ("{% if data.nope == nil %}b{% endif %}", "b"),
        ("{% if data.nope != blank %}a{% endif %}b", "b"),
        ("{% if data.none == blank %}b{% endif %}", "b"),
        ("{% if data['blank'] == blank %}b{% endif %}", "b"),
        ("{% if data.units != blank %}b{% endif %}", "b"),
        ("{% if data.units == 1.3 %}b{% endif %}", "b"),
        ("{% if data.power > 99.5 %}b{% endif %}", "b"),
    ],
)
def test_a_condition_may_ask_for_what_is_missing(leaf: str, text: str) -> None:
    """In a condition a missing value counts as false, and numbers are compared as decimals."""
    assert json.loads(render(leaf)) == {"x": text}


def test_omit_leaves_out_what_is_null() -> None:
    """`$omit` drops the key or the element when its value is null, and is replaced by the value otherwise."""
    template = {
        "gone": {"$omit": "{{ data.none }}"},
        "blank": {"$omit": "{{ data['blank'] | blank_to_null }}"},
        "kept": {"$omit": "{{ data.units }}"},
        "deep": {"$omit": {"a": {"$omit": None}, "b": 1}},
        "list": [{"$omit": None}, {"$omit": "{{ data.list }}"}],
        "null": "{{ data.none }}",
    }

    assert render(template) == '{"kept":1.30,"deep":{"b":1},"list":[[1,2.50,"c"]],"null":null}'


def test_all_errors_are_found_with_their_places() -> None:
    """The compiler lists every error of all templates, each with its place."""
    templates = {
        "ABC123": {"Outer": {"Inner": "{{ data.x "}},
        "_default": {
            "Items": ["{{ data.x | nope }}", "fine"],
            "Tag": "{% include 'x' %}",
            "Name": "{{ dta.x }}",
            "Arguments": "{{ data.x | text: 1, 2 }}",
            "Omit": {"$omit": "x", "other": 1},
        },
        "Off": None,
        "List": [],
    }

    assert errors_of(json.dumps(templates)) == [
        ("ABC123.Outer.Inner", "expected '}}', found end of file"),
        ("_default.Items[0]", "the filter nope does not exist"),
        ("_default.Tag", "unexpected tag 'include'"),
        (
            "_default.Name",
            f"dta is not in scope (did you mean data?); {IN_SCOPE}",
        ),
        (
            "_default.Arguments",
            "the filter text has wrong arguments: too many positional arguments",
        ),
        ("_default.Omit", "an object with $omit must have no other keys"),
        ("List", "a template must be an object, or null to ignore the category"),
    ]


@pytest.mark.parametrize(
    ("templates", "place"),
    [
        ("nonsense", "Templates"),
        ("[]", "Templates"),
        ('"{{ x }}"', "Templates"),
        ('{"_default": {"$omit": "x"}}', "_default"),
        ('{"_default": {"a": "\\u0000"}}', "_default.a"),
        ('{"_default": {"a": 1e400}}', "_default.a"),
        ('{"_default": {"a": "' + "x" * 270_000 + '"}}', "Templates"),
        ('{"_default": ' + '{"a": ' * 200 + "1" + "}" * 201, "Templates"),
        ('{"_default": {"a": "{{ data.empty }}"}}', "_default.a"),
        ('{"_default": {"a": "{{ data' + "[data" * 3000 + "]" * 3000 + ' }}"}}', "_default.a"),
        ('{"_default": {"a": "' + "{% if data.x %}" * 50 + "{% endif %}" * 50 + '"}}', "_default.a"),
    ],
)
def test_templates_that_cannot_be_are_refused_by_place(templates: str, place: str) -> None:
    """Templates that are no object, too large, too deep or not storable give an error and no other exception."""
    assert [found for found, _ in errors_of(templates)] == [place]


@pytest.mark.parametrize("tag", ["include 'x'", "render 'x'", "extends 'x'", "layout 'x'", "tablerow x in data.l"])
def test_tags_that_reach_elsewhere_do_not_exist(tag: str) -> None:
    """No tag reads another template or a file."""
    assert len(errors_of(json.dumps({"_default": {"x": f"{{% {tag} %}}"}}))) == 1


@pytest.mark.parametrize(
    ("leaf", "message"),
    [
        ("{{ forloop.index }}", "forloop exists only inside a loop"),
        ("{% for i in data.list %}{% else %}{{ forloop.index }}{% endfor %}", "forloop exists only inside a loop"),
        ("{% for i in data.list %}{% endfor %}{{ i }}", f"i is not in scope; {IN_SCOPE}"),
        ("{{ foo }}", f"foo is not in scope; {IN_SCOPE}"),
        ("{% for item in data.list %}{{ itme }}{% endfor %}", f"itme is not in scope (did you mean item?); {IN_SCOPE}"),
        ("{% assign total = 1 %}{{ totl }}", f"totl is not in scope (did you mean total?); {IN_SCOPE}"),
    ],
)
def test_a_name_is_known_where_it_is_made(leaf: str, message: str) -> None:
    """The names of a loop exist only inside it, and the suggestion for a wrong name is a name in scope."""
    assert errors_of(json.dumps({"_default": {"x": leaf}})) == [("_default.x", message)]


def test_the_other_tags_work() -> None:
    """Loops, cases, captures, counters, cycles, comments and raw text work as in Liquid."""
    leaf = (
        "{% for item in data.list reversed %}{{ forloop.index }}:{{ item }}{% cycle ',', ';' %}{% endfor %}"
        "{% case data['a.b'] %}{% when 4, 5 %}five{% else %}?{% endcase %}"
        "{% increment n %}{% increment n %}{% comment %}{{ data.nope | nope }}{% endcomment %}{% # note %}"
        "{% raw %}{{ raw }}{% endraw %}{% for pair in data.object %}{{ pair[0] }}{% break %}{% endfor %}"
    )

    assert json.loads(render(leaf)) == {"x": "1:c,2:2.50;3:1,five01{{ raw }}z"}


def test_errors_are_listed_up_to_a_hundred() -> None:
    """A template in which everything is wrong has its first hundred errors listed."""
    templates = {"_default": {str(number): "{{ data.x | nope }}" for number in range(5000)}}

    assert len(errors_of(json.dumps(templates))) == 100


def test_a_broken_template_harms_no_other_category() -> None:
    """Only events of the category whose template has an error get that error."""
    compiled = compile_templates('{"Bad": {"x": "{{ "}, "_default": {"x": 1}}')

    assert compiled.render("Good", scope_of("{}"), None) == ("_default", b'{"x":1}')
    with pytest.raises(TemplateError):
        compiled.render("Bad", scope_of("{}"), None)


def test_leaves_do_not_share_variables() -> None:
    """A variable that one leaf assigns does not exist in another."""
    errors = errors_of('{"_default": {"a": "{% assign v = 1 %}{{ v }}", "b": "{{ v }}"}}')

    assert [place for place, _ in errors] == ["_default.b"]


@pytest.mark.parametrize(
    ("category", "choice"),
    [
        ("ABC123", TemplateChoice("ABC123")),
        ("Other", TemplateChoice("_default")),
        (None, TemplateChoice("_default")),
        ("Off", TemplateChoice(None, "category_off")),
    ],
)
def test_the_category_chooses_the_template(category: str | None, choice: TemplateChoice) -> None:
    """A category has its own template, else `_default`; null switches it off."""
    assert choose_template({"ABC123": {}, "Off": None, "_default": {}}, category) == choice


def test_without_default_other_categories_have_no_template() -> None:
    """Without `_default`, other categories and events without one have no template; `_default` can be switched off."""
    assert choose_template({"ABC123": {}}, "Other").code == "no_template"
    assert choose_template({"ABC123": {}}, None).code == "no_template"
    assert choose_template({"_default": None}, None).code == "category_off"


@pytest.mark.parametrize(("category", "code"), [("Off", "category_off"), ("Other", "no_template")])
def test_rendering_without_a_template_says_why(category: str, code: str) -> None:
    """The error of an event that no template serves has the code of its reason."""
    with pytest.raises(TemplateError) as caught:
        compile_templates('{"Off": null}').render(category, scope_of("{}"), None)

    assert caught.value.code == code


@pytest.mark.parametrize(
    ("leaf", "reason"),
    [
        ("{{ (1..1000000000) | join }}", "a range may have at most 100,000 numbers"),
        ("{{ (1..999999999999999999999999999999) }}", "a range may have at most 100,000 numbers"),
        ("{% for i in (1..1000000000) %}{% endfor %}", "the loops of the template have more than 100,000 iterations"),
        (
            "{% for i in (1..1000) %}{% for j in (1..1000) %}{% endfor %}{% endfor %}",
            "the loops of the template have more than 100,000 iterations",
        ),
        ("{% for i in (1..60000) %}{{ data.lines }}{% endfor %}", "the output is larger"),
        ("{% assign n = 9 %}{% for i in (1..40) %}{% assign n = n | times: n %}{% endfor %}", "grew beyond"),
        ("{% assign n = 1.5 %}{% for i in (1..40) %}{% assign n = n | times: n %}{% endfor %}", "too many digits"),
        (
            "{% assign s = 'a' %}{% for i in (1..40) %}{% assign s = s | append: s %}{% endfor %}",
            "a text may have at most",
        ),
        (
            "{% assign l = data.list %}{% for i in (1..40) %}{% assign l = l | concat: l %}{% endfor %}",
            "a list may have at most",
        ),
        ("{% break %}", "break is used outside of a loop"),
        ("{{ '%00' | url_decode }}", "has a NUL character"),
        ("{{ '1e999' | decimal }}", "beyond the range of a double"),
        ("{{ '/w==' | base64_decode }}", 'base64_decode cannot work with "/w=="'),
    ],
)
def test_growth_is_bounded(leaf: str, reason: str) -> None:
    """A template that exceeds a limit on loops, texts, lists or numbers ends with an error that names the limit."""
    assert reason in error_of(leaf).message


def test_a_payload_may_not_be_too_large() -> None:
    """A payload over 256 KiB is an error, also when each of its leaves is small."""
    data = json.dumps({"x": "a" * 100_000})

    with pytest.raises(TemplateError, match="more than 256 KiB"):
        render({str(number): "{{ data.x }}" for number in range(3)}, data)


def test_ten_thousand_leaves_are_rendered() -> None:
    """A template with ten thousand leaves is within the limits."""
    payload = json.loads(render({str(number): "{{ data.yes }}" for number in range(10_000)}))

    assert payload == dict.fromkeys(map(str, range(10_000)), True)
