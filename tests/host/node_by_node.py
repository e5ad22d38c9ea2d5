"""The nodes of the Protect workflow, run one after the other."""

import numpy as np
from PIL import Image

from . import tiny_models as tiny


def protect(host, models, name, *, strength, budget, condition, k=2, train=None):
    """Run the nodes of the Protect workflow one after the other and return the saved file's levels."""
    model, _, vae = models
    run = {
        node: host.classes[f"LDU_{node}"].execute
        for node in ("LoadPicture", "WorkingSize", "InvertToZT", "ApplyRhoShift", "FewStepDenoise", "FitToBudget")
    }
    original, _, info = run["LoadPicture"](name).args
    rho = train(original) if train else tiny.random_rho(host, model, 4, k_steps=k)
    working = run["WorkingSize"](original, 0, model).args[0]
    latent = host.nodes.VAEEncode().encode(vae, working)[0]
    z_T, record, _ = run["InvertToZT"](model, latent, k, 0.5, 0, condition).args
    shifted = run["ApplyRhoShift"](z_T, rho, strength, 0).args[0]
    protected = run["FewStepDenoise"](model, shifted, record, condition).args[0]
    decoded = [host.nodes.VAEDecode().decode(vae, which)[0] for which in (latent, protected)]
    fitted = run["FitToBudget"](original, *decoded, budget).args[0]
    save = host.classes["LDU_SaveProtected"]
    out = save.PREPARE_CLASS_CLONE(None).execute(fitted, "%name%_protected", False, info)
    saved = out.ui["images"][0]
    return np.asarray(Image.open(host.base / "output" / saved["subfolder"] / saved["filename"]))
