"""Backups of an installation: its rows as they were at one moment, and its photos, in one file; and the way back."""
