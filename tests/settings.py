"""The names that the tests go by, and the environment that the entry points read when they are imported."""

from __future__ import annotations

from tools.local_cloud import REGION

STAGE = "test"
TABLE = f"user-visits-{STAGE}"
FILES_TABLE = f"visit-files-{STAGE}"
KEYS_TABLE = f"visit-keys-{STAGE}"

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": REGION,
    "STAGE": STAGE,
    "VISITS_TABLE": TABLE,
    "CACHE_CONTROL": "public, max-age=60",
    "FILES_TABLE": FILES_TABLE,
    "KEYS_TABLE": KEYS_TABLE,
    "ALERTS_TOPIC_ARN": f"arn:aws:sns:{REGION}:123456789012:visits-alerts-{STAGE}",
    "MAX_FILE_BYTES": "1000000",
    "MAX_UNCOMPRESSED_BYTES": "10000000",
    "MAX_LINE_BYTES": "1000",
    "MAX_PAIRS": "1000",
    "MAX_REJECTED_BYTES": "2000000",
    "SOURCES_FILE": "sources.toml",
}
"""What Lambda gives to the functions."""
