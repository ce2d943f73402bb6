"""JSON as it is stored and digested: one text for one value, without blanks. The encoders are made once."""

import json

# Sorted keys: for what is compared or digested. Of strings, whole numbers, true, false and null, which is all that is
# stored, this is the canonical form of RFC 8785.
canonical = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode
# Keys in the order given: for what is only read back or shown.
compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
