"""Is it few steps or distillation that matters: the base of the demo world against its few-step sibling."""
