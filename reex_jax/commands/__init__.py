"""What users start: each command reads its settings here, and nothing below knows flags."""
