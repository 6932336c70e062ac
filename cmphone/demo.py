"""The demo site: where its files are, and who can log in.  What is in it stands in deploy/demo.

Its passwords are no secret, which is why a production server refuses to load it.
"""

from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "deploy" / "demo"
SITE_FILE = FOLDER / "site.toml"
LICENSE_FILE = FOLDER / "license.txt"
# By customer group.
CONTACT_FILES = {name: FOLDER / f"{name}.csv" for name in ("colleagues", "customers", "partners")}

# User name, password, and what he shows..
DEMO_LOGINS = [
    ("agent1", "agent1-demo", "agent, in German, for customers and colleagues"),
    ("agent2", "agent2-demo", "agent, in English, who sees only partners"),
    ("admin", "admin-demo", "administrator"),
]
# The variables that `password_env` names in the site file.
ENVIRON = {f"CMPHONE_DEMO_{username.upper()}_PASSWORD": password for username, password, _ in DEMO_LOGINS}
