"""The settings of a training run that takes seconds."""

from imo_engine.training.trainer import TrainConfig

TINY = TrainConfig(
    n_latent=4,
    conv_widths=(4, 6, 8),
    encoder_hidden=(8,),
    decoder_hidden=(8,),
    batch=4,
    teacher_steps=3,
    encoder_steps=4,
    joint_steps=3,
)
