"""Brings contacts in from directories (LDAP, Active Directory), again and again."""
