"""What a translation is told by, and what it must keep."""

import re

OWN_SCRIPT = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")
KEPT_AS_THEY_ARE = re.compile(r"\d+(?:\.\d+)?|S\*|z_T|ρ|%name%")
