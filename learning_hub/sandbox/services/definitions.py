"""BOEntityDefinition and metadata: the panel sources and their columns (section 9)."""

from dataclasses import replace
from typing import Any

from learning_hub.sandbox import activity, wire
from learning_hub.sandbox.column import Column
from learning_hub.sandbox.contact_definition import contact_definition
from learning_hub.sandbox.definition import entity_definition, name_problem, read_columns
from learning_hub.sandbox.errors import DuplicateKey, NotFound, OperationNotImplemented, Problem, ValidationError
from learning_hub.sandbox.panel import SYSTEM_COLUMNS, Cardinality, Panel, key_columns, new_panel
from learning_hub.sandbox.search import find_rows, paged_result, read_search
from learning_hub.sandbox.services.panels import closed_panel_error
from learning_hub.sandbox.services.service import Identity, Pairs, Service, check_type, one_element
from learning_hub.sandbox.site import Site
from learning_hub.sandbox.table import Table

TYPE_NAME = "BOEntityDefinitionData"
# Names of iMIS's own entities, which no panel source may have.
_IMIS_ENTITIES = {
    *("activity", "party", "partysummary", "person", "personsummary", "organization", "iqa", "query", "metadata"),
    *("boentitydefinition", "legacyactivitytype", "querydefinition", "usersecurity", "gentable", "user"),
    *("cscontactbasic", "paneldefinition", "addresspurpose"),
}
_SEARCH_COLUMNS = tuple(
    Column(name=name) for name in ("EntityTypeName", "ObjectTypeName", "PrimaryParentEntityTypeName", "Description")
)


class DefinitionService(Service):
    """The definitions of the panel sources and of Activity, whose ObjectTypeName is `Standard`."""

    requires_staff_role = True

    def find(self, pairs: Pairs) -> Any:
        search = read_search(pairs, self.site.switches)
        definitions = [
            entity_definition("Activity", activity.COLUMNS, object_type="Standard"),
            *map(panel_definition, self.site.panels.values()),
        ]
        table = Table(_SEARCH_COLUMNS)
        for number, definition in enumerate(definitions):
            row = {column.name: definition.get(column.name) for column in _SEARCH_COLUMNS}
            table.put((str(number),), row)
        matches = [definitions[int(number)] for (number,), _ in find_rows(table, search, self.site.switches)]
        return paged_result(matches, search, wire.core(TYPE_NAME), self.site.switches, lambda item: item)

    def read(self, identity: Identity) -> Any:
        name = one_element(identity)
        if name.casefold() == "activity":
            return entity_definition("Activity", activity.COLUMNS, object_type="Standard")
        return panel_definition(self._existing(name))

    def add(self, body: Any) -> Any:
        panel = self._new_panel(body)
        panel.available_via_rest = self.site.switches.new_source_available
        self.site.add_panel(panel)
        return panel_definition(panel)

    def check(self, body: Any) -> None:
        self._new_panel(body)

    def update(self, identity: Identity, body: Any) -> Any:
        """Add columns and widen text columns; changes of type or cardinality are ignored silently (9.3)."""
        panel = self._existing(one_element(identity))
        check_type(body, TYPE_NAME, self.site)
        columns, problems = read_columns(wire.member(body, "Properties"))
        if problems:
            raise ValidationError("BOEntityDefinition", problems)
        for column in self._stored_columns(columns) if self.site.switches.definition_changes == "take" else ():
            old = panel.table.column(column.name)
            is_wider = old is not None and old.kind == column.kind and _width(column) >= _width(old)
            if column.name.casefold() not in SYSTEM_COLUMNS and (old is None or is_wider):
                panel.table.add_column(column)
        description = wire.member(body, "Description")
        if isinstance(description, str):
            panel.description = description
        return panel_definition(panel)

    def _existing(self, name: str) -> Panel:
        panel = self.site.panels.get(name.casefold())
        if panel is None:
            msg = f"BOEntityDefinition {name} was not found."
            raise NotFound(msg)
        return panel

    def _new_panel(self, body: Any) -> Panel:
        check_type(body, TYPE_NAME, self.site)
        name = wire.member(body, "EntityTypeName")
        object_type = wire.member(body, "ObjectTypeName")
        columns, problems = read_columns(wire.member(body, "Properties"))
        problem = name_problem(name, "EntityTypeName")
        if problem:
            problems.append(problem)
        problems.extend(_kind_problems(body, object_type))
        problems.extend(self._key_problems(object_type, columns))
        if problems:
            raise ValidationError("BOEntityDefinition", problems)
        if name.casefold() in self.site.panels or name.casefold() in _IMIS_ENTITIES:
            msg = f"There is a {name} already."
            raise DuplicateKey(msg)
        cardinality: Cardinality = "Multi" if object_type == "Multi" else "Single"
        sent = wire.member(body, "Description")
        description = sent if isinstance(sent, str) else ""
        return new_panel(name, cardinality, self._stored_columns(columns), description)

    def _stored_columns(self, columns: list[Column]) -> list[Column]:
        if self.site.switches.read_only_flags == "keep":
            return columns
        return [
            replace(column, extra=tuple(pair for pair in column.extra if pair[0] != "IsReadOnly")) for column in columns
        ]

    def _key_problems(self, object_type: Any, columns: list[Column]) -> list[Problem]:
        defined = {column.name.casefold() for column in columns}
        keys = key_columns("Multi" if object_type == "Multi" else "Single")
        if self.site.switches.definition_keys == "add":
            return []
        if self.site.switches.definition_keys == "own":
            return [Problem(c.name, f"{c.name} is added by iMIS.") for c in keys if c.name.casefold() in defined]
        return [Problem(c.name, f"{c.name} is required.") for c in keys if c.name.casefold() not in defined]


def _kind_problems(body: Any, object_type: Any) -> list[Problem]:
    problems = []
    if object_type not in ("Single", "Multi"):
        problems.append(Problem("ObjectTypeName", "ObjectTypeName must be Single or Multi.", object_type))
    parent = wire.member(body, "PrimaryParentEntityTypeName")
    if parent != "Party":
        # Real sites also have Event, Invoice and Standalone; the sandbox has contacts only.
        problems.append(Problem("PrimaryParentEntityTypeName", "The parent must be Party.", parent))
    return problems


def _width(column: Column) -> float:
    return float("inf") if column.max_length is None else column.max_length


def panel_definition(panel: Panel) -> Any:
    return entity_definition(panel.name, panel.columns(), object_type=panel.cardinality, description=panel.description)


def metadata_of(site: Site, entity: str) -> Any:
    """
    The metadata of Activity, of a panel source, or of Party, Person and PartySummary.

    Raises:
        OperationNotImplemented: The entity has no metadata, or the switch Metadata is 501.
    """
    if entity.casefold() == "activity" and site.switches.metadata == 200:
        return entity_definition("Activity", activity.COLUMNS)
    contacts = next(
        (name for name in ("Party", "Person", "PartySummary") if name.casefold() == entity.casefold()), None
    )
    if contacts and site.switches.metadata == 200:
        return contact_definition(contacts)
    panel = site.panels.get(entity.casefold())
    if panel is None or site.switches.metadata == 501:
        msg = f"Operation FindMetadataForEntity is not implemented for {entity}."
        raise OperationNotImplemented(msg)
    if not panel.available_via_rest:
        raise closed_panel_error(site, panel)
    return entity_definition(panel.name, panel.columns(), description=panel.description)
