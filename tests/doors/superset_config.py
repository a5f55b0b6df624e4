"""Superset for a test: everything it keeps lies in a folder of its own, and nothing is asked of the network."""
import os

HOME = os.environ["SUPERSET_HOME"]
SECRET_KEY = "of a test alone, and of forty-two characters or more"
SQLALCHEMY_DATABASE_URI = f"sqlite:///{HOME}/superset.db"
WTF_CSRF_ENABLED = False
TALISMAN_ENABLED = False
