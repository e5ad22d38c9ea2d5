"""Latent Diffusion Unlearning in plain torch: the method, free of any host application."""
