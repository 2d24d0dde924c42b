"""Random numbers of training steps: what one use of them draws says nothing about what another draws."""

import torch

from mine.data.base.rng import BatchRng, Stream, step_seed


def test_streams_of_steps_runs_and_uses_are_independent() -> None:
    seeds = [step_seed(seed, step, use) for seed in range(3) for step in range(50) for use in Stream]
    assert len(set(seeds)) == len(seeds)
    drawn = torch.stack([BatchRng.seeded(seed, 1).uniform(64).flatten() for seed in seeds])
    correlation = torch.corrcoef(drawn).fill_diagonal_(0)
    assert correlation.abs().max() < 0.7  # of 64 numbers: six standard deviations


def test_a_mirrored_batch_comes_in_all_resolutions() -> None:
    """Each use's first common number: with one stream for both, one would follow from the other."""
    first, second = (
        torch.tensor([BatchRng.seeded(step_seed(0, step, use), 1).common() for step in range(400)])
        for use in (Stream.AUGMENTATION, Stream.LOSSES)
    )
    mirrored = first < 0.5
    assert 0.3 < float((second[mirrored] < 0.5).float().mean()) < 0.7
    assert 0.3 < float((second[~mirrored] < 0.5).float().mean()) < 0.7
