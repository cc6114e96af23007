"""The networks that predict a correction to the fixed upsample."""

from model.networks.residual import ResidualGenerator

__all__ = ["ResidualGenerator"]
