"""Parts of a network that stay as they are while the rest learns."""

from __future__ import annotations

from torch import nn

from humanseg.errors import SettingsError
from humanseg.models.efficientnet_lite import EfficientNetLite


class Frozen:
    """An encoder's first stages, which do not learn, and the statistics of all its batch norms.

    What ImageNet taught the first stages serves any picture, and they are the dearest to train:
    they work at the largest sizes. Fixed statistics spare their batch norms two passes more.
    """

    def __init__(self, network: nn.Module, stages: int) -> None:
        """Freeze the stem and so many stages of the encoder; 0 freezes nothing.

        Raises:
            SettingsError: the network has no encoder, or one of fewer stages.
        """
        self._encoder: EfficientNetLite | None = None
        if stages == 0:
            return
        encoder = getattr(network, "encoder", None)
        if not isinstance(encoder, EfficientNetLite):
            raise SettingsError("this network has no encoder", subject="frozen_stages")
        if stages > len(encoder.stages):
            raise SettingsError(
                f"the encoder has {len(encoder.stages)} stages", subject="frozen_stages"
            )
        self._encoder = encoder
        for part in (encoder.stem, *encoder.stages[:stages]):
            part.requires_grad_(requires_grad=False)

    def keep(self) -> None:
        """Undo what `train()` did to the encoder's batch norms; call it after each."""
        if self._encoder is not None:
            self._encoder.eval()
