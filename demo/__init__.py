"""The demo world: a small Stable-Diffusion-shaped model, trained from nothing on portraits drawn by code."""
