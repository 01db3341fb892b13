"""
Activities (section 7.3) and activity types (section 7.5) as tables.

Widths that the reference leaves open are those of common sites.
"""

from learning_hub.sandbox import seeds
from learning_hub.sandbox.column import Column
from learning_hub.sandbox.table import Table

_TEXTS_BEFORE = {
    "SOURCE_SYSTEM": 10,
    "SOURCE_CODE": 40,
    "PRODUCT_CODE": 31,
    "CATEGORY": 15,
    "DESCRIPTION": 255,
}
_TEXTS_AFTER = {
    "NOTE": 32000,
    "NOTE_2": 32000,
    "CAMPAIGN_CODE": 10,
    "STATUS_CODE": 5,
    "OTHER_CODE": 20,
    "OTHER_ID": 10,
    "ORG_CODE": 5,
    "MEMBER_TYPE": 5,
    "MEM_TRIB_CODE": 10,
    "ACTION_CODES": 255,
    "PAY_METHOD": 10,
    "BATCH_NUM": 15,
    "CO_ID": 10,
    "SOLICITOR_ID": 15,
    "OBJECT": 255,
    "INTENT_TO_EDIT": 80,
    "UF_1": 255,
    "UF_2": 255,
    "UF_3": 255,
}

COLUMNS = (
    Column(name="PartyId", max_length=10, is_required=True, is_party=True),
    Column(name="SEQN", kind="integer", is_assigned=True, is_identity=True),
    Column(name="ACTIVITY_TYPE", max_length=10, is_required=True),
    Column(name="TRANSACTION_DATE", kind="date"),
    Column(name="EFFECTIVE_DATE", kind="date"),
    *(Column(name=name, max_length=width) for name, width in _TEXTS_BEFORE.items()),
    Column(name="UNITS", kind="decimal"),
    Column(name="QUANTITY", kind="decimal", scale=6),
    Column(name="AMOUNT", kind="money"),
    *(Column(name=name, kind="date") for name in ("THRU_DATE", "TICKLER_DATE", "NEXT_INSTALL_DATE")),
    *(Column(name=name, max_length=width) for name, width in _TEXTS_AFTER.items()),
    Column(name="UF_4", kind="decimal"),
    Column(name="UF_5", kind="decimal"),
    Column(name="UF_6", kind="date"),
    Column(name="UF_7", kind="date"),
    Column(name="TAXABLE_VALUE", kind="money"),
    *(
        Column(name=name, kind="integer")
        for name in ("ORIGINATING_TRANS_NUM", "ATTACH_SEQN", "ATTACH_TOTAL", "GRACE_PERIOD")
    ),
    Column(name="RECURRING_REQUEST", kind="boolean"),
)

ACTIVITY_TYPE_COLUMNS = (
    Column(name="ActivityTypeId", max_length=10, is_required=True, is_identity=True),
    Column(name="Description", max_length=255),
    *(
        Column(name=name, max_length=60)
        for name in (
            *("SubtypePrompt", "DescriptionPrompt", "EffectiveDatePrompt", "ThruDatePrompt", "SourcePrompt"),
            *("AmountPrompt", "TicklerPrompt", "ActionPrompt", "CeuTypePrompt", "UnitsPrompt"),
        )
    ),
    Column(name="AllowUserEdit", kind="boolean"),
    *(Column(name=name, max_length=60) for name in ("FollowUpPrompt", "NotePrompt")),
    Column(name="IsExtendedDemo", kind="boolean"),
    *(Column(name=f"Uf{number}Prompt", max_length=60) for number in range(1, 8)),
    *(Column(name=name, max_length=60) for name in ("CoIdPrompt", "AccessKeywords", "OtherCode")),
)


def new_activities() -> Table:
    """An empty table of activities, keyed by sequence number; `ID` is an alias of `PartyId`."""
    return Table(COLUMNS, {"ID": "PartyId"})


def seeded_activity_types() -> Table:
    """The activity types of the seeds, keyed by id."""
    table = Table(ACTIVITY_TYPE_COLUMNS)
    for type_id, description in seeds.ACTIVITY_TYPES.items():
        row = dict.fromkeys(column.name for column in ACTIVITY_TYPE_COLUMNS)
        table.put((type_id,), row | {"ActivityTypeId": type_id, "Description": description, **seeds.ACTIVITY_LABELS})
    return table
