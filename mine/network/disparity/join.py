"""Joins disparity networks to an ensemble."""

from collections.abc import Sequence
from dataclasses import replace

from mine.errors import InputError
from mine.network.architecture import MAX_MEMBERS, Architecture
from mine.network.disparity.network import DisparityNetwork


def join_networks(networks: Sequence[DisparityNetwork]) -> DisparityNetwork:
    """Makes an ensemble of trained networks.

    Args:
        networks: Two or more of one architecture, none of them an ensemble. Maps have the edges of the first, and the
            values of the mean of all, in which those of more contrast weigh more.

    Returns:
        A network in evaluation mode whose `architecture.members` is their number, with copies of their weights.

    Raises:
        InputError: There are fewer than two or more than `MAX_MEMBERS`, they differ in architecture, or one is no
            single disparity network.
    """
    if not 2 <= len(networks) <= MAX_MEMBERS:
        raise InputError(f"{len(networks)} network(s) to join: give 2 to {MAX_MEMBERS}")
    single = networks[0].architecture
    for number, network in enumerate(networks[1:], start=2):
        if difference := single.difference(network.architecture):
            raise InputError(f"networks 1 and {number} have {difference}: give networks of one architecture")
    if single.decoder != "disparity" or single.members > 1:
        raise InputError(f"the networks have {_described(single)}: give single disparity networks")
    joined = DisparityNetwork(replace(single, members=len(networks)))
    for part in ("encoder", "decoder"):
        for member, network in zip(getattr(joined, part).members, networks, strict=True):
            member.load_state_dict(getattr(network, part).state_dict())
    return joined.eval()


def _described(architecture: Architecture) -> str:
    """Decoder and number of members, for a message."""
    return f"decoder {architecture.decoder} and {architecture.members} member{'s' * (architecture.members > 1)}"
