"""What Passalong does: one verb per file, one database transaction per verb. No Flask here."""
