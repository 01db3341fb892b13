"""
The initial data of the sandbox. All people are invented; example.org is reserved for examples.

Tests and the demo use these names instead of repeating the values.
"""

from dataclasses import dataclass
from uuid import NAMESPACE_DNS, uuid5

from learning_hub.sandbox.column import Column

USERNAME = "sandbox"
PASSWORD = "sandbox"  # noqa: S105 - the sandbox keeps no secret; it prints this one.
CLIENT_ID = "LearningHub"
CLIENT_SECRET = "sandbox-client-secret-0123456789abcdef"  # noqa: S105 - as above; sites ask for 32 characters.
REFRESH_TOKEN = "sandbox-refresh-token"  # noqa: S105 - as above.
USER_KEY = str(uuid5(NAMESPACE_DNS, "account.sandbox.example.org")).upper()
ROLES = ("Everyone", "SysAdmin", "StaffUser")

FIRST_SEQN = 880123


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedContact:
    """A contact as seeded; an organisation has no first name."""

    party_id: str
    first_name: str | None
    last_name: str
    email: str
    city: str
    country: str
    is_active: bool = True
    is_organization: bool = False
    alternate_id: str | None = None

    @property
    def uniform_id(self) -> str:
        """The GUID of the contact, the same at every start."""
        return str(uuid5(NAMESPACE_DNS, f"{self.party_id}.sandbox.example.org"))


ROBIN = SeedContact(
    party_id="10042",
    first_name="Robin",
    last_name="Vale",
    email="robin.vale@example.org",
    city="Leeds",
    country="United Kingdom",
    alternate_id="LMS-7781",
)
AMARA = SeedContact(
    party_id="10043",
    first_name="Amara",
    last_name="Okafor",
    email="amara.okafor@example.org",
    city="Abuja",
    country="Nigeria",
)
JUN = SeedContact(
    party_id="10044",
    first_name="Jun",
    last_name="Takeda",
    email="jun.takeda@example.org",
    city="Sendai",
    country="Japan",
)
LENA = SeedContact(
    party_id="10045",
    first_name="Lena",
    last_name="Hartmann",
    email="lena.hartmann@example.org",
    city="Kassel",
    country="Germany",
)
MATEO = SeedContact(
    party_id="10046",
    first_name="Mateo",
    last_name="Cruz",
    email="mateo.cruz@example.org",
    city="Toledo",
    country="Spain",
)
PRIYA = SeedContact(
    party_id="10047",
    first_name="Priya",
    last_name="Nair",
    email="Priya.Nair@Example.org",
    city="Kochi",
    country="India",
)
SHARED_EMAIL = "front.desk@example.org"
SAM = SeedContact(
    party_id="10048",
    first_name="Sam",
    last_name="Whitlock",
    email=SHARED_EMAIL,
    city="Bangor",
    country="United States",
)
TONI = SeedContact(
    party_id="10049",
    first_name="Toni",
    last_name="Whitlock",
    email=SHARED_EMAIL,
    city="Bangor",
    country="United States",
)
INACTIVE = SeedContact(
    party_id="10050",
    first_name="Dana",
    last_name="Brook",
    email="dana.brook@example.org",
    city="Cork",
    country="Ireland",
    is_active=False,
)
ELIF = SeedContact(
    party_id="10051",
    first_name="Elif",
    last_name="O'Hara",
    email="elif.ohara@example.org",
    city="Izmir",
    country="Turkey",
)
OWEN = SeedContact(
    party_id="10052",
    first_name="Owen",
    last_name="Pritchard",
    email="owen.pritchard@example.org",
    city="Hobart",
    country="Australia",
)
CLINIC = SeedContact(
    party_id="10053",
    first_name=None,
    last_name="Harbour Street Clinic",
    email="office@example.org",
    city="Halifax",
    country="Canada",
    is_organization=True,
)
CONTACTS = (ROBIN, AMARA, JUN, LENA, MATEO, PRIYA, SAM, TONI, INACTIVE, ELIF, OWEN, CLINIC)

# The screen labels of every activity type; only those that the TopClass document names.
ACTIVITY_LABELS = {
    "SubtypePrompt": "Subtype",
    "DescriptionPrompt": "Description",
    "EffectiveDatePrompt": "Effective date",
    "SourcePrompt": "Source",
    "CeuTypePrompt": "CEU/type",
    "UnitsPrompt": "Quantity/CEU",
}
CODE_LISTS = {"CREDIT_TYPE": {"CPD": "Continuing professional development", "CE": "Continuing education"}}
ADDRESS_PURPOSES = ("Address", "Billing")
ACTIVITY_TYPES = {"TCLEARNING": "TopClass learning", "CALL": "Telephone call", "MEETING": "Meeting"}

PANEL = "TopClass_Learning"
# Section 8.6: the columns that the TopClass document names, and no others.
PANEL_COLUMNS = (
    Column(name="CourseCode", max_length=80, caption="Course code"),
    Column(name="Course", max_length=150),
    Column(name="CourseCompleted", kind="date", caption="Course completed"),
    Column(name="Units", kind="decimal"),
    Column(name="CreditType", max_length=80, caption="Credit type"),
    Column(name="CEUType", max_length=80, caption="CEU type"),
)

ACTIVITIES_QUERY = "$/LearningHub/Activities"
COMPLETIONS_QUERY = "$/LearningHub/Completions"
CONTACT_QUERY = "$/LearningHub/ContactByEmail"
CLOSED_QUERY = "$/LearningHub/NotForRest"
