"""What stands in for a missing modality: one file a policy. Statistics come from training items that have the modality and from nothing else."""
